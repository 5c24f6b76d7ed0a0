"""Files of recorded reads: a header, then blocks of 64-bit key hashes with a checksum each. See docs/format.md.

Both engines write them and ``traces`` reads them. A hash is Python's own: equal keys have equal hashes within one
process, and, for keys that hold text, in no other unless PYTHONHASHSEED is set.
"""

from __future__ import annotations

import os
import stat
import struct
import time
import zlib
from typing import Any, NamedTuple

from door43fast.errors import ConfigError, FormatError

try:
    import fcntl
except ImportError:     # no POSIX: that no two recordings write to one file is then the user's care
    fcntl = None        # type: ignore[assignment]

MAGIC = b"D43TRACE"
VERSION = 1
HEAD = struct.Struct("<8sIIdQQ20sI")    # magic, version, size of the header, sample, seed, start in ns, 0, checksum
BLOCK = struct.Struct("<4sIQQQ")        # mark, hashes, reads up to its end, 1 for the last, checksum
MARK = b"D43B"
WORD = (1 << 64) - 1


class Recorded(NamedTuple):
    """What a recording holds."""

    hashes: Any         # uint64 array of the reads that are of the sample, in their order
    sample: float
    asked: int          # reads of the store up to the last whole block, those that are not of the sample included
    whole: bool         # it was ended; False: its process died, its disk was full, or the file was cut
    seed: int           # equal for two recordings whose hashes may be compared
    started: float      # Unix time


def spread(hashed: int) -> int:
    """A hash with its bits spread, as ``d43_spread`` does it: its size says whether the key is of a sample."""
    x = hashed & WORD
    x ^= x >> 33
    x = x * 0xFF51AFD7ED558CCD & WORD
    x ^= x >> 33
    x = x * 0xC4CEB9FE1A85EC53 & WORD
    return x ^ x >> 33


def checked_sample(sample: Any) -> float:
    """A sample rate that is one."""
    if isinstance(sample, bool) or not isinstance(sample, (int, float)) or not 0 < sample <= 1:
        raise ConfigError(f"sample={sample!r} must be a number above 0 and up to 1, such as 0.01 for one key in "
                          "a hundred")
    return float(sample)


def limit(sample: float) -> int:
    """The largest spread hash that is of the sample."""
    return max(min(int(sample * 2.0 ** 64) - 1, WORD), 0)


def header(sample: float) -> bytes:
    told = HEAD.pack(MAGIC, VERSION, HEAD.size, sample, hash("door43fast") & WORD, time.time_ns(), b"", 0)
    return told[:-4] + struct.pack("<I", zlib.crc32(told[:-4]))


def block(hashes: list[int], asked: int, last: bool) -> bytes:
    """A block of hashes, all of the sample, as it is written."""
    words = [len(hashes) << 32 | int.from_bytes(MARK, "little"), asked, int(last), *hashes]
    total = sum(word * (2 * i + 1) for i, word in enumerate(words)) & WORD
    return struct.pack(f"<{len(words) + 1}Q", *words[:3], total, *hashes)


def create(path: Any, sample: float) -> int:
    """Begin a file: an open descriptor behind the header. An earlier recording of that name is written over, and no
    other file is, nor one that another recording writes to."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o666)
    try:
        if fcntl is not None:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise FileExistsError(error.errno, "another recording is being written there: stop it, or name another "
                                      "file", os.fsdecode(path)) from None
        about = os.fstat(fd)
        if stat.S_ISREG(about.st_mode):
            if about.st_size and os.read(fd, len(MAGIC)) != MAGIC:
                raise FileExistsError(17, "this file is no recording of door43fast and is not written over: name "
                                      "another, or delete it", os.fsdecode(path))
            os.ftruncate(fd, 0)
            os.lseek(fd, 0, os.SEEK_SET)
        try:
            os.write(fd, header(sample))
        except OSError as error:
            raise OSError(error.errno, error.strerror, os.fsdecode(path)) from None
    except BaseException:
        os.close(fd)
        raise
    return fd


def decoded(data: bytes, name: str) -> Recorded:
    """What the bytes of a recording hold, up to the first block that is not whole.

    Raises
    ------
    FormatError
        They do not begin as a recording does, or as one of a version that this one does not know.
    """
    import numpy

    if len(data) < HEAD.size or data[:len(MAGIC)] != MAGIC:
        raise FormatError(f"{name} is no recording of door43fast: it does not begin as one")
    _, version, size, sample, seed, started, _, checksum = HEAD.unpack_from(data)
    if version != VERSION:
        raise FormatError(f"{name} is a recording of format {version}, and this version of door43fast reads {VERSION}: "
                          "read it with the version that wrote it")
    if zlib.crc32(data[:HEAD.size - 4]) != checksum or size != HEAD.size or not 0 < sample <= 1:
        raise FormatError(f"the header of the recording {name} is damaged: record anew")
    parts, at, asked, last = [], size, 0, False
    while not last and len(data) >= at + BLOCK.size:
        mark, count, so_far, ends, checksum = BLOCK.unpack_from(data, at)
        if mark != MARK or len(data) < at + BLOCK.size + 8 * count:
            break
        words = numpy.frombuffer(data, "<u8", count + 4, at)
        odd = numpy.arange(1, 2 * count + 7, 2, dtype=numpy.uint64)
        if (int((words[:3] * odd[:3]).sum()) + int((words[4:] * odd[3:]).sum())) & WORD != checksum:
            break
        parts.append(words[4:])
        at, asked, last = at + BLOCK.size + 8 * count, so_far, bool(ends)
    hashes = numpy.concatenate(parts) if parts else numpy.empty(0, "<u8")
    whole = last and at == len(data)
    return Recorded(hashes.astype(numpy.uint64, copy=False), sample, asked, whole, seed, started / 1e9)
