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

# modules below door43fast.native, by the C libraries that they use
EXTENSIONS = {
    (): (
        "clock core tags encoded weigh recording meter table writes readers singles conditional ordered batches "
        "memory_transactions memory replay spans packed arrow keys tuples messagepack jsontext codec below watches"),
    ("lmdb", "libzstd", "libxxhash"): (
        "libraries environment compression chunks audit_chunks lmdb_values lmdb_records lmdb_ahead lmdb_reads "
        "lmdb_room lmdb_budget lmdb_order lmdb_groups lmdb_changes lmdb_batch lmdb_batches lmdb_ranges lmdb_care "
        "lmdb_packed lmdb_training lmdb_transactions lmdb_journal lmdb_streams lmdb tiers coherence stack "
        "tiers_disk tiers_memory tiers_nested stack_reads stack_batches stack_writes"),
    ("lmdb", "libxxhash"): (
        "audit audit_index audit_order tables journal undo budget bounding saver handle trust upkeep longkeys "
        "lmdb_walk"),
    ("libxxhash",): (
        "directory structure marks"),
    ("lmdb",): (
        "status keyindex"),
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
        [extension(module, libraries) for libraries, modules in EXTENSIONS.items() for module in modules.split()
         if (module in FREE) == free],
        include_path=["cext"],
        compiler_directives={"language_level": 3, "embedsignature": True, "embedsignature.format": "python",
                             "freethreading_compatible": free},
        annotate=bool(os.environ.get("DOOR43FAST_ANNOTATE")),
    )]


setup(ext_modules=extensions())
