"""Keys of ``keys="any"``: the order-preserving encoding of FoundationDB's tuple layer.

The source is FoundationDB's public specification, ``design/tuple.md`` in its repository. A key is one element, so
that ``fdb.tuple.pack((key,))`` gives the same bytes:

====  ==========================================================================================
code  element
====  ==========================================================================================
01    bytes: each 00 as 00 FF, then 00
02    str: as its UTF-8 bytes, in the same way
05    tuple: its elements, then 00
0B    negative int of more than 8 bytes: length XOR FF, then the bytes of ``value + 256**n - 1``
0C    negative int of n = 8 bytes, and so on to 13 for n = 1: the bytes of ``value + 256**n - 1``
14    zero
15    positive int of n = 1 byte, and so on to 1C for n = 8: its bytes, big-endian
1D    positive int of more than 8 bytes: the length, then the bytes
21    float: IEEE 754 double, big-endian, sign bit flipped if positive, all bits flipped if negative
====  ==========================================================================================

So the order is bytes, str, tuple, int, float, and by value within each; 1 and 1.0 are two keys. Of the layer's
other elements None and bool are refused (True would be another key than the 1 that it equals), and so is NaN
(which equals nothing); -0.0 is taken as the 0.0 that it equals.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memchr, memcpy

from door43fast.errors import CorruptError

cdef extern from "Python.h":
    long long PyLong_AsLongLongAndOverflow(object, int*) except? -1

cdef enum:
    BYTES = 0x01
    STR = 0x02
    NESTED = 0x05
    NEGATIVE = 0x0B
    ZERO = 0x14
    POSITIVE = 0x1D
    DOUBLE = 0x21
    DEEPEST = 64            # tuples within tuples
    LONGEST = 255           # bytes of an int: its length is one byte


cdef object ONE = 1         # shifted as a Python int: the spans here are wider than any of C's


cdef struct Output:
    unsigned char* data
    size_t size
    size_t capacity


cdef unsigned char* _room(Output* out, size_t n) except NULL:
    """Where the next ``n`` bytes go; they count as written."""
    cdef size_t capacity
    cdef unsigned char* grown
    if out.size + n > out.capacity:
        capacity = (out.size + n) * 2
        grown = <unsigned char*>realloc(out.data, capacity)
        if grown == NULL:
            raise MemoryError()
        out.data = grown
        out.capacity = capacity
    out.size += n
    return out.data + out.size - n


cdef int _byte(Output* out, int b) except -1:
    _room(out, 1)[0] = <unsigned char>b
    return 0


cdef int _escaped(Output* out, const char* data, size_t n) except -1:
    """``data`` with each 00 as 00 FF."""
    cdef const char* end = data + n
    cdef const char* zero
    cdef size_t part
    while True:
        zero = <const char*>memchr(data, 0, end - data)
        part = (zero if zero != NULL else end) - data
        if part:
            memcpy(_room(out, part), data, part)
        if zero == NULL:
            return 0
        _byte(out, 0)
        _byte(out, 0xFF)
        data = zero + 1


cdef int _text(Output* out, element, bint terminated) except -1:
    cdef bytes content
    if isinstance(element, str):
        try:
            content = str.encode(element, "utf-8")
        except UnicodeEncodeError:
            raise ValueError(f"key {element!r} holds a lone surrogate, which UTF-8 cannot hold") from None
        _byte(out, STR)
    else:
        content = element if type(element) is bytes else memoryview(element).tobytes()
        _byte(out, BYTES)
    _escaped(out, PyBytes_AS_STRING(content), PyBytes_GET_SIZE(content))
    if terminated:
        _byte(out, 0)
    return 0


cdef int _integer(Output* out, number) except -1:
    cdef int overflow = 0
    cdef int64_t value = PyLong_AsLongLongAndOverflow(number, &overflow)
    cdef uint64_t u
    cdef unsigned char* at
    cdef int n = 0, i
    if overflow:
        return _long_integer(out, number)
    if value == 0:
        return _byte(out, ZERO)
    u = <uint64_t>value if value > 0 else -<uint64_t>value
    while n < 8 and u >> (8 * n):
        n += 1
    at = _room(out, n + 1)
    at[0] = ZERO + n if value > 0 else ZERO - n
    if value < 0:
        u = ~u
    for i in range(n):
        at[1 + i] = <unsigned char>(u >> (8 * (n - 1 - i)))
    return 0


cdef int _long_integer(Output* out, number) except -1:
    cdef size_t n
    cdef bytes magnitude
    number = int.__index__(number)      # an heir of int may have methods of its own
    n = (number.bit_length() + 7) // 8
    if n > LONGEST:
        raise ValueError(f"an int of {n} bytes is too long for a key: {LONGEST} is the most; use its text")
    if number > 0:
        magnitude = number.to_bytes(n, "big")
        _byte(out, POSITIVE if n > 8 else ZERO + n)
        if n > 8:
            _byte(out, n)
    else:
        magnitude = (number + (ONE << (8 * n)) - 1).to_bytes(n, "big")
        _byte(out, NEGATIVE if n > 8 else ZERO - n)
        if n > 8:
            _byte(out, n ^ 0xFF)
    memcpy(_room(out, n), PyBytes_AS_STRING(magnitude), n)
    return 0


cdef int _double(Output* out, double value) except -1:
    cdef uint64_t u
    cdef unsigned char* at
    cdef int i
    if value != value:
        raise ValueError("NaN cannot be a key, because it equals no key")
    if value == 0:
        value = 0.0
    memcpy(&u, &value, 8)
    u = ~u if u >> 63 else u | (<uint64_t>1 << 63)
    _byte(out, DOUBLE)
    at = _room(out, 8)
    for i in range(8):
        at[i] = <unsigned char>(u >> (56 - 8 * i))
    return 0


cdef int _elements(Output* out, tuple elements, int depth) except -1:
    if depth > DEEPEST:
        raise ValueError(f"a key holds tuples within tuples beyond {DEEPEST} levels")
    _byte(out, NESTED)
    for element in elements:
        _element(out, element, depth)
    return 0


cdef int _element(Output* out, element, int depth) except -1:
    if isinstance(element, (str, bytes, bytearray, memoryview)):
        return _text(out, element, True)
    if isinstance(element, tuple):
        _elements(out, element if type(element) is tuple else tuple(element), depth + 1)
        return _byte(out, 0)
    if isinstance(element, float):
        return _double(out, element)
    if isinstance(element, int) and not isinstance(element, bool):
        return _integer(out, element)
    if hasattr(type(element), "__index__") and not isinstance(element, bool):
        return _integer(out, element.__index__())
    raise TypeError(f'with keys="any" a key is a str, bytes, int, float or a tuple of them, '
                    f"not {type(element).__name__}" + (" (inside a tuple)" if depth else ""))


cdef bytes pack_key(key):
    cdef Output out = Output(NULL, 0, 0)
    try:
        _element(&out, key, 0)
        return PyBytes_FromStringAndSize(<char*>out.data, out.size)
    finally:
        free(out.data)


cdef bytes pack_prefix(p):
    """The first bytes of every key that starts with the text ``p``, or with the elements of the tuple ``p``."""
    cdef Output out = Output(NULL, 0, 0)
    try:
        if isinstance(p, tuple):
            _elements(&out, tuple(p), 1)
        elif isinstance(p, (str, bytes, bytearray, memoryview)):
            if len(p) == 0:
                return b""
            _text(&out, p, False)
        else:
            raise TypeError(f'with keys="any" a prefix is a str, bytes or a tuple, not {type(p).__name__}')
        return PyBytes_FromStringAndSize(<char*>out.data, out.size)
    finally:
        free(out.data)


cdef object unpack_key(bytes data):
    cdef const unsigned char* at = <const unsigned char*>PyBytes_AS_STRING(data)
    cdef const unsigned char* end = at + PyBytes_GET_SIZE(data)
    key = _read(&at, end, 0, data)
    if at != end:
        raise _damaged(data)
    return key


cdef object _damaged(bytes data):
    return CorruptError(f"the stored key {data[:64]!r} is not in the tuple encoding: it was damaged, or the store was "
                        'not written with keys="any"; run verify()')


cdef bytes _read_text(const unsigned char** at, const unsigned char* end, bytes data):
    cdef const unsigned char* start = at[0]
    cdef const unsigned char* zero = start
    cdef bytes content
    cdef bint escapes = False
    while True:
        zero = <const unsigned char*>memchr(zero, 0, end - zero)
        if zero == NULL:
            raise _damaged(data)
        if zero + 1 == end or zero[1] != 0xFF:
            break
        escapes = True
        zero += 2
    content = PyBytes_FromStringAndSize(<char*>start, zero - start)
    at[0] = zero + 1
    return content.replace(b"\x00\xff", b"\x00") if escapes else content


cdef object _read_integer(int code, const unsigned char** at, const unsigned char* end, bytes data):
    cdef Py_ssize_t n
    cdef bint negative = code < ZERO
    cdef bytes magnitude
    if code == NEGATIVE or code == POSITIVE:
        if at[0] == end:
            raise _damaged(data)
        n = at[0][0] ^ 0xFF if negative else at[0][0]
        at[0] += 1
        if n <= 8:
            raise _damaged(data)
    else:
        n = ZERO - code if negative else code - ZERO
    if end - at[0] < n:
        raise _damaged(data)
    magnitude = PyBytes_FromStringAndSize(<char*>at[0], n)
    # One number has one encoding, or two stored keys would read as the same one.
    if n and at[0][0] == (0xFF if negative else 0):
        raise _damaged(data)
    at[0] += n
    number = int.from_bytes(magnitude, "big")
    return number - (ONE << (8 * n)) + 1 if negative else number


cdef object _read_double(const unsigned char** at, const unsigned char* end, bytes data):
    cdef uint64_t u = 0
    cdef double value
    cdef int i
    if end - at[0] < 8:
        raise _damaged(data)
    for i in range(8):
        u = (u << 8) | at[0][i]
    at[0] += 8
    u = u ^ (<uint64_t>1 << 63) if u >> 63 else ~u
    memcpy(&value, &u, 8)
    if value != value or u == <uint64_t>1 << 63:
        raise _damaged(data)
    return value


cdef object _read(const unsigned char** at, const unsigned char* end, int depth, bytes data):
    cdef int code
    cdef list elements
    if at[0] == end or depth > DEEPEST:
        raise _damaged(data)
    code = at[0][0]
    at[0] += 1
    if code == STR:
        try:
            return _read_text(at, end, data).decode("utf-8")
        except UnicodeDecodeError:
            raise _damaged(data) from None
    if code == BYTES:
        return _read_text(at, end, data)
    if code == NESTED:
        elements = []
        while True:
            if at[0] == end:
                raise _damaged(data)
            if at[0][0] == 0:
                at[0] += 1
                return tuple(elements)
            elements.append(_read(at, end, depth + 1, data))
    if NEGATIVE <= code <= POSITIVE:
        return _read_integer(code, at, end, data)
    if code == DOUBLE:
        return _read_double(at, end, data)
    raise _damaged(data)
