"""The floor of every module of door43fast, and what a source file imports."""

import ast
import re

from sources import ROOT, files

# A module stands on the floor of the longest name here that it begins with, and imports its own or lower floors.
FLOORS = {name: floor for floor, names in enumerate((
    # 0: what every floor may rely on
    "errors contracts events deferred clib",
    # 1: data structures: no I/O
    "native.clock native.core native.hashing native.index native.recency native.hottest native.queues native.ghost"
    " native.sketch native.shadow native.policy native.wheel native.slab native.encoded"
    " native.table native.tags native.weigh native.arrow native.tuples native.gate native.tickets"
    " native.labels native.libraries native.recording native.meter native.marks native.methods native.watches"
    " arguments traces recordings pieces",
    # 2: engines that hold data, value codecs, keys on disk, the packed batch, and what all stores share
    "codecs native.codec native.messagepack native.jsontext native.keys native.spans native.packed moments arrays"
    " native.memory native.memory_transactions native.batch native.writes native.readers native.singles"
    " native.conditional native.ordered native.batches"
    " native.lmdb native.frame native.expiry native.environment native.directory native.audit native.status"
    " native.tables native.journal native.handle native.saver native.structure native.trust native.mapped"
    " native.keyindex native.compression native.descent native.upkeep native.undo native.budget native.bounding"
    " native.chunks native.longkeys native.longrow native.replay native.told native.shown native.pins"
    " simulation streams reference surface tagged metrics claims following compute transactions aio memory lmdb",
    # 3: tiers
    "native.stack native.coherence native.below native.tiers layers replication",
    # 4: backends written in Python, configuration
    "plugins config plans host namespaces profiles",
    # 5: bytes to tokens and back
    "parsers",
    # 6: the Door43 resource cache
    "resources",
    # 7
    "sync",
    # 8: the command line, and what plugin authors inherit
    "cli __main__ testing compat",
)) for name in ("clib" if short == "clib" else f"door43fast.{short}" for short in names.split())}
# These hand names of every floor on, and nothing below the top may import them.
DOORS = {"door43fast", "door43fast.assembly"}
TOP = 8
# A store made from a plan pickles by it, and opening a plan is what assembly does.
BY_PLAN = {("door43fast.layers.planned", "door43fast.assembly"), ("door43fast.lmdb", "door43fast.assembly"),
           ("door43fast.profiles.files", "door43fast.assembly")}

CIMPORT = re.compile(r"^\s*(?:from\s+([\w.]+)\s+)?c?import\s+(\([^)]*\)|[\w., *]+)", re.MULTILINE)


def floor(module):
    """The floor of ``module``, or None if the table does not name it."""
    if module == "door43fast.native":  # the package itself: empty, so that any floor may enter it
        return 0
    parts = module.split(".")
    for end in range(len(parts), 0, -1):
        name = ".".join(parts[:end])
        for known in (name, name.rpartition("_")[0]):       # lmdb_ranges is a part of lmdb
            if known in FLOORS:
                return FLOORS[known]
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
            for name in filter(None, (part.split(" as ")[0].strip() for part in names.strip("()").split(","))):
                yield f"{source}.{name}" if source else name
