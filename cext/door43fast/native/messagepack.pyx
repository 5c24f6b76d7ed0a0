"""Values as MessagePack, and the strict walk that keeps what it would change.

What was set is what comes back, equal and of the same type, or it is refused with the place inside the value. Most
values hold nothing that MessagePack would change: one quick walk over exact types says so, and msgspec does the
rest. What it would change is wrapped into extension types, whose codes are on disk and never renumbered:

====  =========================================================================================
code  holds
====  =========================================================================================
1     tuple: a MessagePack array
2     set: a MessagePack array
3     frozenset: a MessagePack array
4     int beyond 64 bits: two's complement, big-endian
5     bytearray: its bytes
6     NumPy array: see ``door43fast.arrays``
7     datetime that is naive, not in UTC, or folded: see ``door43fast.moments``
8     dict with keys other than str and 64-bit int: a MessagePack array of key, value, key, value ...
-1    datetime in UTC: MessagePack's own timestamp
====  =========================================================================================

Before msgspec reads stored bytes they are walked too: no array may claim more elements than bytes follow, and no
nesting go deeper than we write, so that damaged or hostile bytes can neither exhaust memory nor the stack.
"""

from cpython.datetime cimport datetime_fold, datetime_tzinfo, import_datetime
from cpython.dict cimport PyDict_Next
from cpython.object cimport PyObject
from cpython.unicode cimport PyUnicode_AsUTF8String
from libc.stdint cimport uint64_t

import datetime
import struct

import msgspec

from door43fast.errors import BackendUnavailableError, CorruptError

import_datetime()

cdef extern from "Python.h":
    long long PyLong_AsLongLongAndOverflow(object, int*) except? -1

cdef enum:
    TUPLE = 1
    SET = 2
    FROZENSET = 3
    INTEGER = 4
    BYTEARRAY = 5
    ARRAY = 6
    MOMENT = 7
    PAIRS = 8
    DEEPEST_BYTES = 2 * DEEPEST + 2   # as bytes: an extension and the array in it are two levels

cdef object UTC = datetime.timezone.utc
cdef object DATETIME = datetime.datetime
cdef object Ext = msgspec.msgpack.Ext
cdef object encode_msgpack = msgspec.msgpack.Encoder().encode


class Unfit(Exception):
    """A value that cannot be stored as it is: what is wrong with it, and its place, innermost part first."""

    def __init__(self, kind, why):
        self.kind = kind
        self.why = why
        self.parts = []

    def error(self):
        parts = self.parts[::-1]
        if len(parts) > 8:
            parts = [*parts[:4], " ... ", *parts[-3:]]
        return self.kind(f"value{''.join(parts)} {self.why}")


cdef object refused(value, str codec):
    kind = type(value)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    how = "take its .item()" if kind.__module__ == "numpy" else "convert it to a plain Python value"
    return Unfit(TypeError, f'is of type {name}, which codec="{codec}" does not store: {how}, or open the store with '
                             'codec="pickle"')


cdef bint is_array(value):
    cdef object kind = type(value)
    return kind.__name__ == "ndarray" and kind.__module__ == "numpy"


cdef bint is_word(value):
    """Whether an exact int fits MessagePack: from -2**63 to 2**64 - 1; more than 2**63 - 1 goes the longer way."""
    cdef int overflow = 0
    PyLong_AsLongLongAndOverflow(value, &overflow)
    return not overflow


cdef bint _is_plain(value, int depth):
    """Whether msgspec brings ``value`` back unchanged. Runs no Python code, so that nothing changes meanwhile."""
    cdef object kind = type(value)
    cdef PyObject* key
    cdef PyObject* held
    cdef Py_ssize_t at = 0
    if value is None or kind is str or kind is float or kind is bool or kind is bytes:
        return True
    if kind is int:
        return is_word(value)
    if depth == DEEPEST:
        return False
    if kind is dict:
        while PyDict_Next(value, &at, &key, &held):
            if type(<object>key) is not str and not (type(<object>key) is int and is_word(<object>key)):
                return False
            if not _is_plain(<object>held, depth + 1):
                return False
        return True
    if kind is list:
        for item in <list>value:
            if not _is_plain(item, depth + 1):
                return False
        return True
    if kind is DATETIME:
        return datetime_tzinfo(value) is UTC and not datetime_fold(value)
    return False


cdef str checked_text(str text):
    try:
        PyUnicode_AsUTF8String(text)
    except UnicodeEncodeError:
        raise Unfit(ValueError, "holds a lone surrogate, which UTF-8 cannot hold: replace it, or store bytes") \
            from None
    return text


cdef list _wrapped_items(items, int depth):
    cdef list out = []
    cdef Py_ssize_t i = 0
    for item in items:
        try:
            out.append(_wrapped(item, depth))
        except Unfit as unfit:
            unfit.parts.append(f"[{i}]")
            raise
        i += 1
    return out


cdef object _wrapped_dict(dict value, int depth):
    cdef list flat = []
    cdef bint plain = True
    for key, held in list(value.items()):
        if type(key) is not str and not (type(key) is int and is_word(key)):
            plain = False
        try:
            flat.append(_wrapped(key, depth))
        except Unfit as unfit:
            unfit.parts.append(f" key {repr(key):.40}")
            raise
        try:
            flat.append(_wrapped(held, depth))
        except Unfit as unfit:
            unfit.parts.append(f"[{repr(key):.40}]")
            raise
    if plain:
        return dict(zip(flat[::2], flat[1::2]))
    return Ext(PAIRS, encode_msgpack(flat))


cdef object _wrapped(value, int depth):
    """``value`` with everything that MessagePack would change put into extension types."""
    cdef object kind = type(value)
    if value is None or kind is float or kind is bool or kind is bytes:
        return value
    if kind is str:
        return checked_text(value)
    if kind is int:
        if is_word(value):
            return value
        return Ext(INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))
    if kind is DATETIME:
        if datetime_tzinfo(value) is UTC and not datetime_fold(value):
            return value
        from door43fast.moments import pack
        packed = pack(value)
        if packed is None:
            raise Unfit(TypeError, f"is a datetime whose tzinfo is of type {type(value.tzinfo).__qualname__}: "
                                    "use datetime.timezone or a named zoneinfo.ZoneInfo")
        return Ext(MOMENT, packed)
    if kind is bytearray:
        return Ext(BYTEARRAY, bytes(value))
    if is_array(value):
        return Ext(ARRAY, array_bytes(value))
    if depth == DEEPEST:
        raise Unfit(TypeError, f"is nested deeper than {DEEPEST} levels, or holds itself: such values are not stored")
    if kind is dict:
        return _wrapped_dict(value, depth + 1)
    if kind is list:
        return _wrapped_items(list(value), depth + 1)
    if kind is tuple:
        return Ext(TUPLE, encode_msgpack(_wrapped_items(value, depth + 1)))
    if kind is set or kind is frozenset:
        return Ext(SET if kind is set else FROZENSET, encode_msgpack(_wrapped_items(list(value), depth + 1)))
    raise refused(value, "auto")


cdef bytes array_bytes(value):
    from door43fast.arrays import pack
    try:
        return pack(value)
    except TypeError as error:
        raise Unfit(TypeError, str(error)) from None


cdef bytes to_msgpack(value):
    """``value`` as MessagePack; raises TypeError or ValueError with the place of what cannot be stored."""
    if _is_plain(value, 0):
        try:
            return encode_msgpack(value)
        except UnicodeEncodeError:
            pass    # the longer way finds where
    try:
        return encode_msgpack(_wrapped(value, 0))
    except Unfit as unfit:
        raise unfit.error() from None


cdef uint64_t _big(const unsigned char* p, int n) noexcept nogil:
    cdef uint64_t value = 0
    cdef int i
    for i in range(n):
        value = (value << 8) | p[i]
    return value


cdef const unsigned char* _sound(const unsigned char* p, const unsigned char* end, int depth) noexcept nogil:
    """Beyond the MessagePack value at ``p``; NULL if it does not fit into the bytes or is nested too deeply."""
    cdef unsigned char b
    cdef uint64_t n = 0, i
    cdef int width = 0          # bytes of the length, or of a number
    cdef char code
    cdef const unsigned char* beyond
    if p >= end or depth > DEEPEST_BYTES:
        return NULL
    b = p[0]
    p += 1
    if b < 0x80 or b >= 0xE0 or b in (0xC0, 0xC2, 0xC3):
        return p
    if b < 0xA0 or 0xDC <= b <= 0xDF:                               # maps and arrays
        if b < 0xA0:
            n = b & 15
        else:
            width = 2 if b in (0xDC, 0xDE) else 4
            if end - p < width:
                return NULL
            n = _big(p, width)
            p += width
        if b < 0x90 or b >= 0xDE:
            n *= 2
        if n > <uint64_t>(end - p):
            return NULL
        for i in range(n):
            p = _sound(p, end, depth + 1)
            if p == NULL:
                return NULL
        return p
    if b < 0xC0:                                                    # short str
        n = b & 31
    elif 0xCA <= b <= 0xD3:                                         # numbers
        n = 4 if b == 0xCA else 8 if b == 0xCB else <uint64_t>1 << ((b - 0xCC) & 3)
    elif 0xC4 <= b <= 0xC9 or 0xD9 <= b <= 0xDB:                    # bin, ext, str with a length
        width = 1 << (b - 0xC4) if b <= 0xC6 else 1 << (b - 0xC7) if b <= 0xC9 else 1 << (b - 0xD9)
        if end - p < width:
            return NULL
        n = _big(p, width)
        p += width
    elif 0xD4 <= b <= 0xD8:                                         # short ext
        n = <uint64_t>1 << (b - 0xD4)
    else:
        return NULL
    if 0xC7 <= b <= 0xC9 or 0xD4 <= b <= 0xD8:
        if p >= end:
            return NULL
        code = <char>p[0]
        p += 1
        if n > <uint64_t>(end - p):
            return NULL
        beyond = &p[n]
        if code in (TUPLE, SET, FROZENSET, PAIRS) and _sound(p, beyond, depth + 1) != beyond:
            return NULL
        return beyond
    return NULL if n > <uint64_t>(end - p) else p + n


def _unwrap(int code, data):
    """What an extension type stands for."""
    if code in (TUPLE, SET, FROZENSET, PAIRS):
        items = decode_msgpack(data)
        if type(items) is not list:
            raise ValueError(f"extension type {code} does not hold an array")
        if code == PAIRS:
            if len(items) % 2:
                raise ValueError("a key without a value")
            return dict(zip(items[::2], items[1::2]))
        return tuple(items) if code == TUPLE else set(items) if code == SET else frozenset(items)
    if code == INTEGER:
        return int.from_bytes(data, "big", signed=True)
    if code == BYTEARRAY:
        return bytearray(data)
    if code == ARRAY:
        from door43fast.arrays import unpack
        return unpack(data)
    if code == MOMENT:
        from door43fast.moments import unpack
        return unpack(data)
    raise ValueError(f"extension type {code} is unknown")


cdef object decode_msgpack = msgspec.msgpack.Decoder(ext_hook=_unwrap).decode


cdef object damaged(str what, error):
    return CorruptError(f"a stored value is not {what} ({error}): it was damaged, or not written by door43fast; "
                        "run verify()")


cdef object from_msgpack(payload):
    cdef const unsigned char[::1] data = payload
    cdef const unsigned char* start
    if data.shape[0] == 0:
        raise damaged("MessagePack", "it is empty")
    start = &data[0]
    if _sound(start, start + data.shape[0], 0) != start + data.shape[0]:
        raise damaged("MessagePack", "lengths beyond its end, or nested too deeply")
    try:
        return decode_msgpack(payload)
    except (BackendUnavailableError, CorruptError):
        raise
    except (msgspec.DecodeError, ValueError, TypeError, OverflowError, struct.error) as error:
        raise damaged("MessagePack", error) from error


def encode_as_msgpack(value):
    """``value`` as MessagePack; TypeError or ValueError with the place of what cannot be stored."""
    return to_msgpack(value)


def decode_from_msgpack(payload):
    """The value of MessagePack bytes; CorruptError if they are none."""
    return from_msgpack(payload)
