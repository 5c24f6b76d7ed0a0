"""The compiled modules of door43fast: a table of C libraries, a list of extensions, one function between."""

import os
import shlex
import subprocess
import sys

from setuptools import Extension, setup

# pkg-config name: (oldest version that is known to work, Debian package, linked or header only)
LIBRARIES = {
    "lmdb": ("0.9.22", "liblmdb-dev", True),
    "libzstd": ("1.4.0", "libzstd-dev", True),
    "libxxhash": ("0.8.0", "libxxhash-dev", False),
}

# module below door43fast.native: the C libraries that it uses
EXTENSIONS = {
    "clock": (),
    "core": (),
    "tags": (),
    "encoded": (),
    "weigh": (),
    "recording": (),
    "meter": (),
    "table": (),
    "writes": (),
    "readers": (),
    "singles": (),
    "conditional": (),
    "ordered": (),
    "batches": (),
    "memory_transactions": (),
    "memory": (),
    "replay": (),
    "spans": (),
    "packed": (),
    "arrow": (),
    "keys": (),
    "tuples": (),
    "messagepack": (),
    "jsontext": (),
    "codec": (),
    "libraries": ("lmdb", "libzstd", "libxxhash"),
    "audit": ("lmdb", "libxxhash"),
    "audit_index": ("lmdb", "libxxhash"),
    "audit_order": ("lmdb", "libxxhash"),
    "directory": ("libxxhash",),
    "status": ("lmdb",),
    "tables": ("lmdb", "libxxhash"),
    "journal": ("lmdb", "libxxhash"),
    "keyindex": ("lmdb",),
    "undo": ("lmdb", "libxxhash"),
    "budget": ("lmdb", "libxxhash"),
    "bounding": ("lmdb", "libxxhash"),
    "saver": ("lmdb", "libxxhash"),
    "structure": ("libxxhash",),
    "handle": ("lmdb", "libxxhash"),
    "trust": ("lmdb", "libxxhash"),
    "environment": ("lmdb", "libzstd", "libxxhash"),
    "upkeep": ("lmdb", "libxxhash"),
    "compression": ("lmdb", "libzstd", "libxxhash"),
    "longkeys": ("lmdb", "libxxhash"),
    "lmdb_walk": ("lmdb", "libxxhash"),
    "chunks": ("lmdb", "libzstd", "libxxhash"),
    "audit_chunks": ("lmdb", "libzstd", "libxxhash"),
    "lmdb_values": ("lmdb", "libzstd", "libxxhash"),
    "lmdb_records": ("lmdb", "libzstd", "libxxhash"),
    "lmdb_ahead": ("lmdb", "libzstd", "libxxhash"),
    "lmdb_reads": ("lmdb", "libzstd", "libxxhash"),
    "lmdb_room": ("lmdb", "libzstd", "libxxhash"),
    "lmdb_budget": ("lmdb", "libzstd", "libxxhash"),
    "lmdb_order": ("lmdb", "libzstd", "libxxhash"),
    "lmdb_groups": ("lmdb", "libzstd", "libxxhash"),
    "lmdb_changes": ("lmdb", "libzstd", "libxxhash"),
    "lmdb_batch": ("lmdb", "libzstd", "libxxhash"),
    "lmdb_batches": ("lmdb", "libzstd", "libxxhash"),
    "lmdb_ranges": ("lmdb", "libzstd", "libxxhash"),
    "lmdb_care": ("lmdb", "libzstd", "libxxhash"),
    "lmdb_packed": ("lmdb", "libzstd", "libxxhash"),
    "lmdb_training": ("lmdb", "libzstd", "libxxhash"),
    "lmdb_transactions": ("lmdb", "libzstd", "libxxhash"),
    "lmdb_journal": ("lmdb", "libzstd", "libxxhash"),
    "lmdb_streams": ("lmdb", "libzstd", "libxxhash"),
    "lmdb": ("lmdb", "libzstd", "libxxhash"),
    "below": (),
    "tiers": ("lmdb", "libzstd", "libxxhash"),
    "coherence": ("lmdb", "libzstd", "libxxhash"),
    "stack": ("lmdb", "libzstd", "libxxhash"),
}

# Modules whose reads and writes are worth being one function each, however long: without this gcc leaves the search of
# the table, which several methods share, as a call of its own with six registers to save.
HOT = {"singles", "writes", "batches", "stack"}

# Modules that are declared safe without a GIL. The others are not proven: CPython takes its GIL again to import them.
FREE = {"clock", "core", "tags", "encoded", "weigh", "recording", "meter", "table", "writes", "readers", "singles",
        "conditional", "ordered", "batches", "memory_transactions", "memory", "replay", "spans", "packed", "arrow"}

SANITIZE = os.environ.get("DOOR43FAST_SANITIZE")  # for example "address,undefined"


def pkg_config(library, *flags):
    """What pkg-config answers for ``library``, or a stop with the one sentence that says what to install."""
    oldest, _, _ = LIBRARIES[library]
    syntax = ["--msvc-syntax"] if sys.platform == "win32" else []
    command = [os.environ.get("PKG_CONFIG", "pkg-config"), *syntax, *flags, f"{library} >= {oldest}"]
    try:
        return shlex.split(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    except (OSError, subprocess.CalledProcessError):
        packages = " ".join(["pkg-config", *(package for _, package, _ in LIBRARIES.values())])
        sys.exit(f"door43fast: the C library {library} (>= {oldest}) was not found by pkg-config; "
                 f"on Debian or Ubuntu run: apt-get install gcc {packages}")


def extension(module, libraries):
    """The extension ``door43fast.native.<module>``, compiled from its one .pyx under cext/."""
    compile_args = ["/O2"] if sys.platform == "win32" else ["-O3", "-fvisibility=hidden", "-Wno-sign-compare",
                                                                          "-Wno-unused-function"]
    if module in HOT and sys.platform != "win32":
        compile_args += ["--param", "max-inline-insns-single=2000", "--param", "inline-unit-growth=400"]
    link_args = []
    for library in libraries:
        compile_args += pkg_config(library, "--cflags")
        if LIBRARIES[library][2]:
            link_args += pkg_config(library, "--libs")
    if SANITIZE:
        flags = [f"-fsanitize={SANITIZE}", "-fno-sanitize-recover=undefined", "-fno-omit-frame-pointer", "-g", "-O1"]
        compile_args += flags
        link_args += flags
    return Extension(
        f"door43fast.native.{module}",
        [f"cext/door43fast/native/{module}.pyx"],
        include_dirs=["cext/include"], extra_compile_args=compile_args, extra_link_args=link_args,
    )


def extensions():
    from Cython.Build import cythonize

    return [made for free in (True, False) for made in cythonize(
        [extension(module, libraries) for module, libraries in EXTENSIONS.items() if (module in FREE) == free],
        include_path=["cext"],
        compiler_directives={"language_level": 3, "embedsignature": True, "embedsignature.format": "python",
                             "freethreading_compatible": free},
        annotate=bool(os.environ.get("DOOR43FAST_ANNOTATE")),
    )]


setup(ext_modules=extensions())
