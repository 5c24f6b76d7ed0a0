"""The passage query once more, read naively from the files: the judge of the indexed one, and none of its code."""

import os
import re
import tarfile
import zipfile


def _lines(data):
    """Lines with their ends, by line feed alone."""
    return re.findall(rb"[^\n]*\n|[^\n]+", data)


def _covered(reference):
    """The set of (chapter, verse) that a reference names, ranges over chapters as an endless set is not needed: a
    range gives the pair of its ends. Returns a list of ((c, v), (c, v)), or None."""
    found = []
    chapter = None
    for part in reference.replace(";", ",").split(","):
        part = part.strip().replace("\u2013", "-")
        start, dash, end = part.partition("-")
        if ":" in start:
            chapter, _, verse = start.partition(":")
        else:
            verse = start
        if chapter is None or not verse:
            return None
        words = {"front": "0", "intro": "0"}
        first = (words.get(chapter, chapter), words.get(verse, verse))
        if dash and ":" in end:
            chapter, _, end = end.partition(":")
        last = (words.get(chapter, chapter), end.strip() or first[1])
        try:
            found.append((tuple(int(n) for n in first), tuple(int(n) for n in last)))
        except ValueError:
            return None
    return found


def usfm_pieces(data):
    """(chapter, first verse, last verse, bytes) of each verse of a USFM file, one marker after another."""
    found = []
    chapter = 0
    cuts = [
        (m.start(), m.group(1), m.group(2)) for m in re.finditer(rb"\\([cv])[ \n\r]+([0-9][0-9a-z-]*)(?=[\s\\])", data)
    ]
    cuts = [cut for cut in cuts if b'"not a' not in data[max(0, cut[0] - 12) : cut[0]]]
    for number, (at, marker, digits) in enumerate(cuts):
        end = cuts[number + 1][0] if number + 1 < len(cuts) else len(data)
        if marker == b"c":
            chapter = int(digits)
            continue
        ends = [int(re.match(rb"[0-9]+", part).group()) for part in digits.split(b"-")]
        found.append((chapter, ends[0], ends[-1], data[at:end]))
    return found


def tsv_pieces(data):
    """(spans, bytes) of each row of a TSV file that refers to something, with what a raw line break cut off of it."""
    lines = _lines(data)
    names = lines[0].removeprefix(b"\xef\xbb\xbf").strip().decode().split("\t")
    found = []
    open_row = None
    for line in lines[1:]:
        cells = line.rstrip(b"\r\n").split(b"\t")
        text = ""
        if "Reference" in names:
            text = cells[0].decode()
        elif len(cells) > 2:
            text = cells[1].decode() + ":" + cells[2].decode()
        spans = _covered(text) if len(cells) > 1 else None
        if spans is None:
            if len(cells) >= len(names):
                open_row = None
            elif open_row is not None and line.strip():
                found.append((open_row, line))
            continue
        open_row = spans
        found.append((spans, line))
    return found


def files_of(folders):
    """Path and bytes of every file in some folders."""
    for folder in folders:
        for parent, _, names in os.walk(folder):
            for name in names:
                path = os.path.join(parent, name)
                with open(path, "rb") as file:
                    yield path, file.read()


def archive_files(path):
    """Path and bytes of every file in a zip or tar."""
    if str(path).endswith(".zip"):
        with zipfile.ZipFile(path) as archive:
            return [(name, archive.read(name)) for name in archive.namelist() if not name.endswith("/")]
    with tarfile.open(path) as archive:
        return [(member.name, archive.extractfile(member).read()) for member in archive if member.isfile()]


class Oracle:
    """Every verse and row of a book in a set of files; ``covering`` is one loop over all of them."""

    def __init__(self, files, book):
        self.pieces = []
        for path, data in files:
            name = os.path.basename(path)
            old = re.search(rf"/{book.lower()}/([0-9]+)/([0-9]+)\.md$", path)
            if old:
                at = (int(old.group(1)), int(old.group(2)))
                self.pieces.append(([(at, at)], data))
            elif name.lower().endswith(".usfm") and re.search(rb"\\id +" + book.encode(), data[:40]):
                self.pieces += [([((c, a), (c, b))], text) for c, a, b, text in usfm_pieces(data)]
            elif name.endswith(f"{book}.tsv"):
                self.pieces += tsv_pieces(data)

    def covering(self, chapter, verse):
        """The bytes of everything that covers a verse, sorted."""
        at = (chapter, verse)
        return sorted(data for spans, data in self.pieces if any(first <= at <= last for first, last in spans))

    def verses(self):
        """Every (chapter, verse) that anything starts or ends at."""
        return sorted({end for spans, _ in self.pieces for span in spans for end in span if end[1] > 0})
