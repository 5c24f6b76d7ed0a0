"""Whether a file is one that LMDB can read: its head pages, trees and free list, looked at without LMDB.

LMDB trusts its pages: a damaged one may send it outside the map, which ends the process. This walk trusts nothing:
each number is compared with its bounds before it is used. It is for a file that nobody writes to, or for a snapshot
that a reader holds.
"""

from libc.stdint cimport uint8_t, uint64_t

from door43fast.native.frame cimport Slice

cdef enum:
    HEAD_USED = 152         # bytes of a head page that mean something, in LMDB 0.9 on 64-bit systems

cdef enum Extent:
    ROOTS                   # the head pages, the list of tables, and the first page of each table
    FREE                    # the head pages and the free list
    TREES                   # every page of every tree, and the free list
    RECORDS                 # the same, and the checksum of every record

cdef struct Walk:
    const char* base        # of the mapped file
    uint64_t end            # bytes of the file
    uint64_t page_size
    uint64_t last           # number of the last page in use
    Extent extent
    uint8_t* seen           # a bit for each page: part of a tree, or free
    uint64_t branches       # of the table that is walked
    uint64_t leaves
    uint64_t overflows
    uint64_t entries
    uint64_t bad            # records whose checksum is wrong
    Slice first             # the key of the first of them
    uint64_t page           # where the damage is
    const char* damage      # what it is


# Look at what ``head`` (a head page) leads to in the ``size`` bytes of a mapped file. Raises CorruptError,
# with ``path`` in its sentence, if the structure is damaged. Returns None, or under RECORDS a pair of how many records
# have wrong checksums and the key of the first.
cdef object walk_map(const char* base, uint64_t size, const char* head, uint64_t page_size, Extent extent, str path)
# The same of an open file, which is mapped for it.
cdef object walk_file(int fd, uint64_t size, const char* head, uint64_t page_size, Extent extent, str path)
