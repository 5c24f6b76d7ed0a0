"""Where the file of a key lies: a path that no other key has, on any file system, and that never leaves the folder.

A ``/`` in a key makes a folder. Letters, digits and a few signs stay as they are; everything else is ``%`` and the two
digits of each byte of its UTF-8, so that no file system can take two texts for one by its rules of Unicode. A part with
capital letters ends in ``~`` and, in hexadecimal, which letters they are: so ``TIT`` and ``tit`` differ where case does
not count. Files end in ``.d43``, folders never do, so that ``a`` and ``a/b`` can both be keys. Names that Windows
reserves, and dots at either end, are written with ``%``. A key whose path would be long is found by its hash.
"""

from __future__ import annotations

import hashlib
import re

ENDING = ".d43"
LONG = "%long"              # the folder of keys found by their hash
LONGEST_PART = 120
LONGEST = 200               # of the whole path in the folder: Windows has 260 for all of it
PLAIN = re.compile(r"[a-zA-Z0-9_\-+=,@#().]")
RESERVED = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\.|$)", re.IGNORECASE)
ESCAPED = re.compile(r"%([0-9a-f]{2})")


def place(key: str) -> str:
    """The path of a key's file in the store's folder, with ``/`` between its parts."""
    parts = [_part(part) for part in key.split("/")]
    path = "/".join(parts) + ENDING
    if len(path) > LONGEST or max(map(len, parts)) > LONGEST_PART:
        name = hashlib.blake2b(key.encode(), digest_size=20).hexdigest()
        return f"{LONG}/{name[:2]}/{name[2:]}{ENDING}"
    return path


def key_of(path: str) -> str | None:
    """The key whose file lies at ``path``; None if no key's does, or if it lies under its hash."""
    if not path.endswith(ENDING) or path.startswith(f"{LONG}/"):
        return None
    try:
        key = "/".join(map(_whole, path[:-len(ENDING)].split("/")))
    except ValueError:
        return None
    return key if key and place(key) == path else None


def _part(part: str) -> str:
    if not part:
        return "%_"
    capitals = sum(1 << i for i, letter in enumerate(filter(str.isalpha, part)) if "A" <= letter <= "Z")
    text = "".join(one if PLAIN.match(one) else _escape(one) for one in part)
    if text[0] == "." or RESERVED.match(text):
        text = _escape(text[0]) + text[1:]
    if text.endswith((".", ENDING)):
        at = text.rindex(".")
        text = text[:at] + _escape(".") + text[at + 1:]
    return f"{text}~{capitals:x}" if capitals else text


def _escape(one: str) -> str:
    return "".join(f"%{byte:02x}" for byte in one.encode())


def _whole(part: str) -> str:
    """The part of a key; ValueError if it is not UTF-8."""
    if part == "%_":
        return ""
    text = part.partition("~")[0]
    return ESCAPED.sub(lambda match: chr(int(match[1], 16)), text).encode("latin-1").decode()
