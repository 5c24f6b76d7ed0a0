"""The directory of a store: what may be opened, what must be refused, and what is synced there.

All of it happens at open and close, before LMDB is given the files: a file that is not ours is only read here.
"""

import contextlib
import errno
import fcntl
import mmap
import os
import struct

from door43fast.errors import ConfigError, CorruptError, FormatError

from clib.xxhash cimport XXH3_64bits
from door43fast.native.mapped cimport LAST_PAGE_AT
from door43fast.native.saver cimport MARKER_HEAD, TXN_ID_AT

cdef bytes MAGIC = 0xBEEFC0DE.to_bytes(4, "little")
cdef unsigned int DATA_VERSION = 1      # of LMDB 0.9; 1.0 writes another
cdef str MARKER = "unsynced-"
cdef str BEGUN = "begun-unsynced-"     # before it is whole


cdef object inspect(str path):
    """The size of data.mdb in ``path``, or None if there is no store yet; raises if it is no store for us."""
    cdef str file = os.path.join(path, "data.mdb")
    if os.path.exists(path) and not os.path.isdir(path):
        raise ConfigError(f"{path} is a file; a store is a directory: give the path of a directory")
    try:
        with open(file, "rb") as f:
            head = f.read(2 * 65536)
            size = os.fstat(f.fileno()).st_size
    except (FileNotFoundError, NotADirectoryError):
        return None             # prepare says why, if the directory cannot be made either
    except PermissionError:
        raise ConfigError(f"{file} may not be read by this user; change its owner or permissions") from None
    if not size or _void(path, head, size):
        return None
    # The magic number and the version behind it stand after a page's header: 16 bytes in LMDB 0.9, 24 in 1.0.
    at = next((at for at in (16, 24) if head[at:at + 4] == MAGIC), 0)
    if len(head) < 152 or not at:
        raise FormatError(f"{file} is not an LMDB file; it was left untouched: give another directory")
    version, = struct.unpack_from("<I", head, at + 4)
    if version != DATA_VERSION or not _is_meta(head, 0):
        raise FormatError(f"{file} was written by LMDB 1.0 or newer (data format {version}); door43fast reads the "
                          "format of LMDB 0.9. It was left untouched: copy it with `mdb_dump` of that LMDB, or give "
                          "another directory")
    page, = struct.unpack_from("<I", head, 40)
    if page not in (512, 1024, 2048, 4096, 8192, 16384, 32768, 65536) or not _is_meta(head, page):
        raise CorruptError(f"{file} is damaged: its second head page is missing or overwritten; restore a backup")
    newest = max((0, page), key=lambda at: struct.unpack_from("<Q", head, at + TXN_ID_AT)[0])
    return size, page * (1 + struct.unpack_from("<Q", head, newest + LAST_PAGE_AT)[0])


cdef bint _is_meta(bytes head, size_t at):
    """LMDB's head page: the flag P_META in the page's header, the magic number behind it."""
    return len(head) >= at + 152 and struct.unpack_from("<H", head, at + 10)[0] & 8 and \
        head[at + 16:at + 20] == MAGIC


cdef bint _void(str path, bytes head, size_t size):
    """Two head pages that did not both come to the disk, and nothing else: the store was being created.

    What a store has had in its directory since then tells that it is damaged instead.
    """
    cdef size_t page = mmap.PAGESIZE
    cdef list pages = [head[:page], head[page:]]
    cdef list sound = [_is_meta(head, at) and not any(head[at + TXN_ID_AT:at + TXN_ID_AT + 8]) for at in (0, page)]
    return size <= 2 * page and not all(sound) and all(
        whole or not any(content) for whole, content in zip(sound, pages)) and not any(
        name == "closed" or name.startswith((MARKER, BEGUN)) for name in os.listdir(path))


cdef int clear(str path) except -1:
    with contextlib.suppress(FileNotFoundError):
        os.truncate(os.path.join(path, "data.mdb"), 0)
    return 0


cdef int prepare(str path) except -1:
    """Create the directory and make its entry last."""
    try:
        os.makedirs(path, exist_ok=True)
    except PermissionError:
        raise ConfigError(f"{path} cannot be created: this user may not write to {os.path.dirname(path)}") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be created: {error.strerror}; give the path of a directory") from None
    return sync_directory(os.path.dirname(path))


cdef int sync_directory(str path) except -1:
    """Make the entries of ``path`` survive a power loss: a synced file without its entry is lost."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
    return 0


cdef bytes _boot():
    """A name of the running system since its start; it changes when memory that was not synced was lost."""
    try:
        with open("/proc/sys/kernel/random/boot_id", "rb") as f:
            return f.read().strip()
    except FileNotFoundError:
        import subprocess
        return subprocess.run(["sysctl", "-n", "kern.boottime"], capture_output=True, check=True).stdout.strip()


cdef bytes _sealed(bytes boot):
    return b"%s %016x\n" % (boot, XXH3_64bits(<const char*>boot, len(boot)))


cdef list stale_markers(str path):
    """Markers whose process is gone: pairs of (file, whether the system has started anew since).

    A process holds a lock on its marker for as long as it lives, so a marker that can be locked is an orphan.
    """
    cdef list found = []
    for name in sorted(os.listdir(path)):
        if not name.startswith(MARKER):
            continue
        file = os.path.join(path, name)
        try:
            fd = os.open(file, os.O_RDONLY)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            found.append((file, os.read(fd, MARKER_HEAD).rstrip(b"\0") != _sealed(_boot())))
        except BlockingIOError:
            pass                # its process is alive, and will sync and remove it
        finally:
            os.close(fd)
    return found


cdef object place_marker(str path):
    """A marker of this process, locked and synced: says that the store may hold what is not on disk yet.

    It gets its name when it is whole and locked: one that is begun only would say to others that the system went down.
    """
    while True:
        name = f"{os.getpid()}-{os.urandom(4).hex()}"
        begun, file = os.path.join(path, BEGUN + name), os.path.join(path, MARKER + name)
        fd = os.open(begun, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.write(fd, _sealed(_boot()).ljust(MARKER_HEAD, b"\0")) < MARKER_HEAD:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), begun)
            os.fsync(fd)
            os.rename(begun, file)
            sync_directory(path)
            return fd, file
        except BaseException as error:
            os.close(fd)
            swept = isinstance(error, BlockingIOError) or not os.path.exists(begun) and not os.path.exists(file)
            with contextlib.suppress(OSError):
                os.unlink(begun)
            if not swept:       # by a process that opened the store before it was locked
                raise


cdef int sweep(str path) except -1:
    """Take away what processes that are gone had begun as markers."""
    for name in os.listdir(path):
        if name.startswith(BEGUN):
            with contextlib.suppress(FileNotFoundError, BlockingIOError):      # it has its name now, or its owner lives
                fd = os.open(os.path.join(path, name), os.O_RDONLY)
                try:
                    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    os.unlink(os.path.join(path, name))
                finally:
                    os.close(fd)
    return 0


cdef int remove_marker(object marker, str path) except -1:
    """Take the marker away, and make that last. REQUIRES: all that was written is synced."""
    fd, file = marker
    try:
        os.unlink(file)
    finally:
        os.close(fd)
    return sync_directory(path)


@contextlib.contextmanager
def _alone(path):
    fd = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


cdef object alone(str path):
    """A context in which no other process opens the store: looking after a power loss is for one."""
    return _alone(path)


cdef int agree(str path, dict mine, dict theirs) except -1:
    """One environment has one promise: a second store with another one is refused."""
    for name in ("durability", "sync_interval", "map_size", "keys", "index_bytes"):
        if mine[name] != theirs[name] and not (name == "map_size" and theirs[name] is None) and \
                not (theirs["readonly"] and name in ("durability", "sync_interval")):
            raise ConfigError(f"{path} is open in this process with {name}={mine[name]!r}; it cannot be opened with "
                              f"{name}={theirs[name]!r} at the same time: close the first store, or give the same "
                              "option")
    if mine["readonly"] and not theirs["readonly"]:
        raise ConfigError(f"{path} is open in this process with readonly=True; it cannot be opened with "
                          "readonly=False at the same time: close the first store")
    return 0


cdef object claim(str path, str durability):
    """Tell other processes of the durability of this one; raises if one has the store open with another that cannot
    stand beside it. Returns the descriptor whose lock does so; locks go with their process. REQUIRES: alone.

    After a power loss ``batch`` goes back to its last synced state, which would take acknowledged writes of a process
    with ``commit`` along. So these two keep each other out: the one locks data.mdb, the other a file of its own.
    """
    cdef dict files = {"commit": "data.mdb", "batch": "batch.lock"}
    sweep(path)
    cdef str other = {"commit": "batch", "batch": "commit"}.get(durability)
    if other is None:
        return None
    try:
        fd = os.open(os.path.join(path, files[other]), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        fd = None
    if fd is not None:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(f"{path} is open in another process with durability={other!r}; it cannot be opened with "
                              f"durability={durability!r} at the same time: give the same, or close it there") from None
        finally:
            os.close(fd)
    fd = os.open(os.path.join(path, files[durability]), os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
    fcntl.flock(fd, fcntl.LOCK_SH)
    return fd
