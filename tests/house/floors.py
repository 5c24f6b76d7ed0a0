"""The floor of every module of door43fast, and what a source file imports."""

import ast
import re

from sources import ROOT, files

# A module stands on the floor of the longest name here that it begins with, and imports its own or lower floors.
FLOORS = {
    "door43fast.errors": 0,
    "door43fast.contracts": 0,
    "clib": 0,
    "door43fast.native.libraries": 1,
    "door43fast.native.clock": 1,
    "door43fast.native.core": 1,
    "door43fast.native.hashing": 1,
    "door43fast.native.index": 1,
    "door43fast.native.recency": 1,
    "door43fast.native.wheel": 1,
    "door43fast.native.slab": 1,
    "door43fast.codecs": 2,
    "door43fast.native.codec": 2,
    "door43fast.native.messagepack": 2,
    "door43fast.native.jsontext": 2,
    "door43fast.native.keys": 2,
    "door43fast.native.tuples": 2,
    "door43fast.native.packed": 2,
    "door43fast.native.arrow": 2,
    "door43fast.arrays": 2,
    "door43fast.moments": 2,
    "door43fast.native.memory": 2,
    "door43fast.native.lmdb": 2,
    "door43fast.arguments": 1,
    "door43fast.surface": 2,
    "door43fast.compute": 2,
    "door43fast.transactions": 2,
    "door43fast.aio": 2,
    "door43fast.memory": 2,
    "door43fast.lmdb": 2,
    "door43fast.native.stack": 3,
    "door43fast.reference": 3,          # engine and stack in plain Python
    "door43fast.plugins": 4,
    "door43fast.config": 4,
    "door43fast.parsers": 5,
    "door43fast.resources": 6,
    "door43fast.sync": 7,
    "door43fast.cli": 8,
    "door43fast.__main__": 8,
    "door43fast.testing": 8,
}
# These hand names of every floor on, and nothing below the top may import them.
DOORS = {"door43fast", "door43fast.assembly"}
TOP = 8

CIMPORT = re.compile(r"^\s*(?:from\s+([\w.]+)\s+)?c?import\s+([\w., ]+)", re.MULTILINE)


def floor(module):
    """The floor of ``module``, or None if the table does not name it."""
    if module == "door43fast.native":  # the package itself: empty, so that any floor may enter it
        return 0
    parts = module.split(".")
    for end in range(len(parts), 0, -1):
        name = ".".join(parts[:end])
        if name in FLOORS:
            return FLOORS[name]
    return None


def modules():
    """Module name and file of everything in the package, Python and native."""
    for path in files("door43fast/*.py", "cext/*.pyx", "cext/*.pxd"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        parts = parts[1:] if parts[0] == "cext" else parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def imports(module, path):
    """The house's own modules that ``path`` imports or cimports, with ``from a import b`` read as a.b and a."""
    text = path.read_text(encoding="utf-8")
    package = module if path.stem == "__init__" else module.rpartition(".")[0]
    if path.suffix == ".py":
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                base = node.module or ""
                if node.level:
                    parent = package.split(".")[: len(package.split(".")) - node.level + 1]
                    base = ".".join([*parent, *filter(None, [base])])
                yield from (f"{base}.{alias.name}" for alias in node.names)
    else:
        for source, names in CIMPORT.findall(text):
            for name in names.split(","):
                name = name.split(" as ")[0].strip()
                yield f"{source}.{name}" if source else name
