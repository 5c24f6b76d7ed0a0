"""The versions of the C libraries that this build runs with: the question that every report of a fault begins with."""

from clib.lmdb cimport mdb_version
from clib.xxhash cimport XXH_versionNumber
from clib.zstd cimport ZSTD_versionNumber


cdef str dotted(unsigned int number):
    """The form that zstd and xxHash share: 10506 is 1.5.6."""
    return f"{number // 10000}.{number // 100 % 100}.{number % 100}"


def versions():
    """Library to version: of LMDB and zstd as loaded now, of xxHash as compiled in."""
    cdef int major, minor, patch
    mdb_version(&major, &minor, &patch)
    return {
        "lmdb": f"{major}.{minor}.{patch}",
        "zstd": dotted(ZSTD_versionNumber()),
        "xxhash": dotted(XXH_versionNumber()),
    }
