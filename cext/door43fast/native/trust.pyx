"""Whether a file is as its last writer left it, and what is looked at before it is trusted.

Whoever closes a store after writing leaves a stamp: a small file with the size and time of data.mdb, and its two head
pages. The next writer takes it away before its first write. So a stamp that is there says how the file should look:

- the same: the file is trusted;
- of an older transaction than the file: another process went on, and was killed. An ordinary crash: trusted;
- of the same transaction, but another size, time or head: something else wrote to the file. Every tree is walked, and
  every record compared with its checksum;
- of a transaction that the file has lost: the same, if an older file was put in its place; if only the newest head page
  is another one, that is damaged.

No stamp: the last writer was killed, or is at work. The file is trusted but for what is always looked at: that the two
head pages follow each other, and the first page of each table. Of a file that is shorter than its head page says,
the missing pages must be free.
"""

import contextlib
import os
import struct

from libc.stdint cimport uint64_t
from libc.string cimport memcpy

from clib.lmdb cimport MDB_txn, mdb_txn_id
from clib.xxhash cimport XXH3_64bits
from door43fast.native.directory cimport inspect
from door43fast.native.handle cimport Handle
from door43fast.native.mapped cimport LAST_PAGE_AT
from door43fast.native.saver cimport TXN_ID_AT, put_heads
from door43fast.native.status cimport told
from door43fast.native.structure cimport FREE, HEAD_USED, RECORDS, ROOTS, TREES, walk_file, walk_map

from door43fast.errors import CorruptError

cdef str STAMP = "closed"
cdef bytes MAGIC = b"d43stamp"
cdef object FIELDS = struct.Struct(f"<8sqq{HEAD_USED}s{HEAD_USED}s")
cdef enum:
    NO_SIZE = -1            # in the stamp of a file with damaged records
    ATTEMPTS = 1000         # to look at a file that another process writes to


cdef list _heads(int fd):
    """What means something of both head pages."""
    first = os.pread(fd, HEAD_USED, 0)
    return [first, os.pread(fd, HEAD_USED, _page_size(first))]


cdef object _page_size(bytes head):
    return struct.unpack_from("<I", head, 40)[0]


cdef object _txn(bytes head):
    return struct.unpack_from("<Q", head, TXN_ID_AT)[0]


cdef int _newest(list heads):
    """Which of them LMDB takes."""
    return _txn(heads[0]) < _txn(heads[1])


cdef object _stamp(str path):
    """Size, time and head pages of data.mdb when it was last closed, or None if that is not known."""
    try:
        with open(os.path.join(path, STAMP), "rb") as f:
            content = f.read(FIELDS.size + 8)
    except FileNotFoundError:
        return None
    if len(content) != FIELDS.size + 8 or content[:8] != MAGIC or \
            XXH3_64bits(<const char*>content, FIELDS.size) != struct.unpack_from("<Q", content, FIELDS.size)[0]:
        return None
    return FIELDS.unpack_from(content)[1:]


cdef bint _fits(str path) except -1:
    stamp = _stamp(path)
    return stamp is not None and stamp == _left(path)


cdef object _left(str path):
    """What a stamp would hold now; None if another process is writing, and will leave it."""
    fd = os.open(os.path.join(path, "data.mdb"), os.O_RDONLY | os.O_CLOEXEC)
    try:
        heads = _heads(fd)
        st = os.fstat(fd)
        return (st.st_size, st.st_mtime_ns, *heads) if heads == _heads(fd) else None
    finally:
        os.close(fd)


cdef int leave_stamp(str path, bint doubt) except -1:
    with contextlib.suppress(OSError):      # a full disk: without a stamp the next opening is as after a crash
        left = _left(path)
        if left is None:
            return 0
        content = FIELDS.pack(MAGIC, NO_SIZE if doubt else left[0], *left[1:])
        fd = os.open(os.path.join(path, STAMP), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        try:
            os.write(fd, content + struct.pack("<Q", XXH3_64bits(<const char*>content, len(content))))
        finally:
            os.close(fd)
    return 0


cdef int lift_stamp(str path) except -1:
    with told("writing to", path), contextlib.suppress(FileNotFoundError):
        os.unlink(os.path.join(path, STAMP))
    return 0


cdef bint _suspect(list heads, object st, object stamp, str path) except -1:
    """Whether the file is another one than the stamp says, and no later one; raises if a head page is damaged."""
    cdef int last, other
    size, time, *noted = stamp
    if size == NO_SIZE:
        return True
    closed = max(map(_txn, noted))
    last, other = closed & 1, 1 - (closed & 1)      # whoever goes on writes over the other page first
    if heads[last] != noted[last] and heads[other] == noted[other]:
        raise CorruptError(f"{path}/data.mdb is damaged: its newest head page is not the one with which it was closed; "
                           "restore a backup")
    if heads[last] == noted[last] and _txn(heads[other]) > closed and \
            heads[other][:TXN_ID_AT] == noted[other][:TXN_ID_AT]:
        raise CorruptError(f"{path}/data.mdb is damaged: its older head page passes for the newest; restore a backup")
    if _txn(heads[_newest(heads)]) > closed:
        return False
    return heads != noted or size != st.st_size or time != st.st_mtime_ns


cdef object _look(int fd, list heads, str path, bint lost):
    cdef bytes head = heads[_newest(heads)]
    st = os.fstat(fd)
    page_size = _page_size(head)
    if _page_size(heads[0]) != _page_size(heads[1]):
        raise CorruptError(f"{path}/data.mdb is damaged: its head pages tell of pages of another size each; restore a "
                           "backup")
    older, newer = sorted(map(_txn, heads))
    # Of two of transaction 0 the first counts: nothing was ever committed, if the other one was tried.
    if not lost and newer and (heads[0][8:] != heads[1][8:] if older == newer else
                     newer - older != 1 or newer & 1 != _newest(heads)):
        raise CorruptError(f"{path}/data.mdb is damaged: its two head pages do not follow each other; restore a backup")
    extent = TREES if lost else ROOTS
    stamp = _stamp(path)
    if not lost and stamp is not None and _suspect(heads, st, stamp, path):
        extent = RECORDS
    last, = struct.unpack_from("<Q", head, LAST_PAGE_AT)
    if (last + 1) * page_size > st.st_size:
        try:
            walk_file(fd, st.st_size, head, page_size, FREE, path)
        except CorruptError as error:
            raise CorruptError(f"{path}/data.mdb is shorter than its head page says ({st.st_size} of "
                               f"{(last + 1) * page_size} bytes), and not by free pages alone; restore a backup"
                               ) from error
    return walk_file(fd, st.st_size, head, page_size, extent, path)


cdef object _examine(str path, bint lost):
    cdef int fd = os.open(os.path.join(path, "data.mdb"), os.O_RDONLY | os.O_CLOEXEC)
    cdef int i
    try:
        for i in range(ATTEMPTS):
            heads = _heads(fd)
            try:
                return _look(fd, heads, path, lost)
            except CorruptError:
                if heads == _heads(fd):
                    raise
                # Another process writes to it, and used pages anew that were looked at.
        raise CorruptError(f"{path}/data.mdb is written to faster than it can be looked at; open it again")
    finally:
        os.close(fd)


cdef int examine_live(Handle home) except -1:
    cdef MDB_txn* txn
    cdef const char* page
    cdef char head[HEAD_USED]
    cdef uint64_t id, before, after
    cdef int i
    for i in range(ATTEMPTS):
        txn = home.reader()
        try:
            id = mdb_txn_id(txn)
            page = home.metas + (id & 1) * home.page_size
            memcpy(head, page, HEAD_USED)
            memcpy(&before, head + TXN_ID_AT, 8)
            memcpy(&after, page + TXN_ID_AT, 8)
            if before == id == after:
                home.widen()
                if home.view.base == NULL:
                    walk_file(home.fd, home.view.end, head, home.page_size, TREES, home.path)
                else:
                    walk_map(home.view.base, home.view.end, head, home.page_size, TREES, home.path)
                return 0
        finally:
            home.give(txn)
            home.leave()
    raise CorruptError(f"{home.path}/data.mdb is damaged: its head page is not that of its newest transaction; restore "
                       "a backup")


cdef int _level_heads(str path) except -1:
    cdef int fd = os.open(os.path.join(path, "data.mdb"), os.O_RDWR | os.O_CLOEXEC)
    try:
        heads = _heads(fd)
        size = _page_size(heads[0])
        put_heads(fd, os.pread(fd, size, size * _newest(heads)))
    finally:
        os.close(fd)
    return 0


cdef int _lengthen(str path, bint readonly) except -1:
    size, needed = inspect(path)
    if size < needed and readonly:
        raise CorruptError(f"{path}/data.mdb is shorter than its head page says ({size} of {needed} bytes); open it "
                           "once without readonly=True")
    if size < needed:
        os.truncate(os.path.join(path, "data.mdb"), needed)
    return 0


cdef object look(str path, bint lost, bint saved, bint readonly, bint* stamped):
    try:
        doubt = _examine(path, lost)
    except CorruptError as error:
        if lost:
            raise CorruptError(f"{path} was open when the system went down, and {error}") from None
        raise
    stamped[0] = doubt is None and _fits(path)
    if lost and not saved and not readonly:
        _level_heads(path)              # of unsynced ones any two may be on the disk
    _lengthen(path, readonly)
    if doubt is not None and not readonly:
        leave_stamp(path, True)
    return doubt
