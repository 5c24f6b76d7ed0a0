"""A disk that loses power: what may lie on it at an instant of a recording (shim/recorder.c).

What was synced is there. Of each write since then, page by page, all or some sectors or nothing may be; so later ones
without earlier ones as well. A file may have got its new length without what was written there. Entries of a directory
that was not synced since (new files, removed ones, new names) are there or not, each for itself; a rename is one step.
"""

import os
import struct

HEAD = struct.Struct("<IIqQ")
PAGE, SECTOR = 4096, 512
ZEROS = bytes(PAGE)


def records(log):
    """(kind, number of the descriptor, place, data) in order."""
    with open(log, "rb") as file:
        content = file.read()
    at = 0
    while at < len(content):
        kind, number, place, size = HEAD.unpack_from(content, at)
        at += HEAD.size
        yield chr(kind), number, place, content[at:at + size]
        at += size
    assert at == len(content)


class Content:
    """The bytes of a file: pages that are not there are zeros."""

    def __init__(self, size=0, pages=None):
        self.size, self.pages = size, pages or {}

    def copy(self):
        return Content(self.size, dict(self.pages))

    def write(self, at, data):
        self.size = max(self.size, at + len(data))
        done = 0
        while done < len(data):
            number, within = divmod(at + done, PAGE)
            piece = data[done:done + PAGE - within]
            if len(piece) < PAGE:
                old = self.pages.get(number, ZEROS)
                piece = old[:within] + piece + old[within + len(piece):]
                done += PAGE - within
            else:
                done += PAGE
            self.pages[number] = piece

    def resize(self, size):
        if size < self.size:
            last, within = divmod(size, PAGE)
            self.pages = {number: page for number, page in self.pages.items() if number < last + (within > 0)}
            if within and last in self.pages:
                self.pages[last] = self.pages[last][:within] + bytes(PAGE - within)
        self.size = size

    def read(self, at, size):
        last = at + size
        data = b"".join(self.pages.get(number, ZEROS) for number in range(at // PAGE, (last + PAGE - 1) // PAGE))
        return data[at % PAGE:][:min(size, max(self.size - at, 0))]

    def save(self, path):
        with open(path, "wb") as file:
            for number, page in self.pages.items():
                file.seek(number * PAGE)
                file.write(page)
            file.truncate(self.size)


class File:
    """What is on the disk of it for certain, and what was written since: (instant, place, data), place None for a
    length."""

    def __init__(self, name):
        self.name = name                # the newest one that it had
        self.sure, self.live, self.since = Content(), Content(), []

    def settle(self, instant):
        """All that was written before ``instant`` is on the disk."""
        later = []
        for change in self.since:
            if change[0] < instant:
                _carry_out(self.sure, *change[1:])
            else:
                later.append(change)
        self.since = later

    def settle_one(self, instant, place, data):
        """A write that is synced by itself, and those before it to the same place."""
        end = place + len(data)
        before = [c for c in self.since if c[1] is None or (c[1] < end and place < c[1] + len(c[2]))]
        for change in [*before, (instant, place, data)]:
            _carry_out(self.sure, *change[1:])
        self.since = [change for change in self.since if change not in before]

    def torn(self, rng):
        """What may lie on the disk of it."""
        found = self.sure.copy()
        share = rng.choice([0, 1, rng.random(), rng.random()])
        for _, place, data in self.since:
            if place is None:
                if rng.random() < share:
                    found.resize(data)
                continue
            done = 0
            while done < len(data):
                size = min(len(data) - done, PAGE - (place + done) % PAGE)
                chance = rng.random()
                if chance < share:
                    found.write(place + done, data[done:done + size])
                elif chance < share + 0.05:
                    for at in range(done, done + size, SECTOR):
                        if rng.random() < 0.5:
                            found.write(place + at, data[at:min(at + SECTOR, done + size)])
                done += size
        if self.live.size > found.size and rng.random() < 0.5:
            found.resize(self.live.size)        # the length came without what was written there
        return found


def _carry_out(content, place, data):
    if place is None:
        content.resize(data)
    else:
        content.write(place, data)


class Folder:
    def __init__(self):
        self.sure, self.live, self.since = {}, {}, []       # names; changes: (instant, function of a dict of names)


class Disk:
    """The directory of a recording, brought forward record by record."""

    def __init__(self):
        self.root = Folder()
        self.opened, self.began, self.instant = {}, {}, 0

    def find(self, name):
        node = self.root
        for part in filter(None, name.split("/")):
            node = node.live[part]
        return node

    def parent(self, name):
        above, _, last = name.rpartition("/")
        return self.find(above), last

    def entry(self, name, node):
        """A name for a node, None to take it away."""
        folder, last = self.parent(name)
        self.entries(folder, [(folder, last, node)])

    def entries(self, synced_with, changes):
        for folder, last, node in changes:
            _name(folder.live, last, node)
        synced_with.since.append((self.instant, changes))

    def take(self, kind, number, place, data):
        """One record. Returns the node that it was about, if any."""
        self.instant += 1
        if kind == "O":
            return self.open(number, place, data.decode())
        if kind in "WS":
            file = self.opened[number]
            file.live.write(place, data)
            if kind == "S":
                file.settle_one(self.instant, place, data)
            else:
                file.since.append((self.instant, place, data))
            return file
        if kind == "T":
            file = self.opened[number] if number else self.find(data.decode())
            file.live.resize(place)
            file.since.append((self.instant, None, place))
            return file
        if kind == "B":
            self.began[place] = self.instant
            return self.opened[number]
        elif kind == "E":
            began = self.began.pop(place)
            node = self.opened[number]
            if isinstance(node, Folder):
                _settle_names(node, began)
            else:
                node.settle(began)
            return node
        elif kind == "F":
            self.opened[number].since = []      # the system has forgotten them, and no later sync brings them back
        elif kind == "M":
            self.entry(data.decode(), Folder())
        elif kind == "U":
            self.entry(data.decode(), None)
        elif kind == "R":
            source, target = data.decode().split("\0")
            (old, last), (new, name) = self.parent(source), self.parent(target)
            node = old.live[last]
            if isinstance(node, File):
                node.name = target
            self.entries(new, [(old, last, None), (new, name, node)])
        elif kind == "Z":
            raise AssertionError(f"the model of the disk knows nothing of {data.decode()}")
        return None

    def open(self, number, flags, name):
        try:
            node = self.find(name)
        except KeyError:
            node = File(name)
            self.entry(name, node)
        self.opened[number] = node
        if flags & 1 and node.live.size:
            node.live.resize(0)
            node.since.append((self.instant, None, 0))
        return node

    def image(self, rng, target):
        """Write what may lie on the disk into the directory ``target``."""
        names = {}                  # Folder: its names on the disk

        def of(folder):
            if folder not in names:
                names[folder] = dict(folder.sure)
            return names[folder]

        share = rng.choice([0, 1, rng.random()])
        for folder in _folders(self.root):
            for _, changes in folder.since:
                if rng.random() < share:
                    for place, last, node in changes:
                        _name(of(place), last, node)
        self.write(rng, self.root, of, target)

    def write(self, rng, folder, of, target):
        os.mkdir(target)
        for last, node in of(folder).items():
            if isinstance(node, Folder):
                self.write(rng, node, of, os.path.join(target, last))
            else:
                node.torn(rng).save(os.path.join(target, last))


def _name(names, last, node):
    if node is None:
        names.pop(last, None)
    else:
        names[last] = node


def _settle_names(folder, instant):
    later = []
    for change in folder.since:
        if change[0] < instant:
            for place, last, node in change[1]:
                _name(place.sure, last, node)
        else:
            later.append(change)
    folder.since = later


def _folders(folder, seen=None):
    """All that were ever reached from here: removed ones may still be on the disk."""
    seen = [] if seen is None else seen
    if folder not in seen:
        seen.append(folder)
        for names in (folder.sure, folder.live):
            for node in names.values():
                if isinstance(node, Folder):
                    _folders(node, seen)
    return seen
