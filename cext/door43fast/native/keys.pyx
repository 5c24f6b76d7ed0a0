"""Keys of a store on disk as bytes whose order is the order of the keys."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_AsUTF8String

from door43fast.native.tuples cimport pack_key, pack_prefix, unpack_key

from door43fast.errors import ConfigError, CorruptError, UnsupportedError, did_you_mean

cdef tuple MODES = ("str", "bytes", "int", "any")


cdef object _unfit(str mode, str wanted, key):
    """The TypeError for a key of the wrong type: it names the option that says which types a store takes."""
    return TypeError(f'this store takes {wanted} (it was opened with keys="{mode}"), not {type(key).__name__} '
                     f'{str(repr(key))[:60]}; keys="any" takes str, bytes, int, float and tuples of them')


cdef bytes _utf8(text, str what):
    if not isinstance(text, str):
        raise _unfit("str", f"{what} of type str", text)
    try:
        return PyUnicode_AsUTF8String(text)
    except UnicodeEncodeError:
        raise ValueError(f"{what} {text!r} holds a lone surrogate, which UTF-8 cannot hold") from None


cdef bytes _content(data, str what):
    if type(data) is bytes:
        return data
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise _unfit("bytes", f"{what} of type bytes", data)
    return memoryview(data).tobytes()


cdef object _integer(key):
    if isinstance(key, bool) or not hasattr(type(key), "__index__"):
        raise _unfit("int", "keys of type int", key)
    return key.__index__()


cdef class KeyCodec:
    """How the keys of a store are written: the option ``keys=``.

    Parameters
    ----------
    mode : {"str", "bytes", "int", "any"}
        ``"str"`` is UTF-8, so the order is that of code points. ``"bytes"`` is as given. ``"int"`` is a 64-bit
        signed integer in 8 bytes, big-endian with the sign bit flipped. ``"any"`` is the tuple encoding of
        FoundationDB: see the module ``tuples``.

    Raises
    ------
    ConfigError
        If the mode is unknown.
    """

    def __cinit__(self, mode="str"):
        if mode not in MODES:
            raise ConfigError(f"keys={mode!r} is unknown: {did_you_mean(mode, MODES)}")
        self.name = mode
        self.mode = <KeyMode><int>MODES.index(mode)

    def __reduce__(self):
        return KeyCodec, (self.name,)

    def __repr__(self):
        return f'KeyCodec("{self.name}")'

    cpdef bytes encode(self, key):
        """The bytes of ``key``.

        Raises
        ------
        TypeError
            If the key is not of the type that the option ``keys=`` names.
        ValueError
            If it is empty, holds a lone surrogate, or is beyond 64 bits with ``keys="int"``.
        """
        cdef bytes data
        cdef char out[8]
        if self.mode == KEYS_STR:
            data = _utf8(key, "a key")
        elif self.mode == KEYS_BYTES:
            data = _content(key, "a key")
        elif self.mode == KEYS_INT:
            number = _integer(key)
            if not -0x8000000000000000 <= number <= 0x7FFFFFFFFFFFFFFF:
                raise ValueError(f'the key {number} is beyond 64 bits, which is what keys="int" holds; '
                                 'use keys="any"')
            put_int64(number, <unsigned char*>out)
            return PyBytes_FromStringAndSize(out, 8)
        else:
            if isinstance(key, (str, bytes, bytearray, memoryview, tuple)) and len(key) == 0:
                raise ValueError(f"the key {key!r} is empty; a key needs at least one character, byte or element")
            return pack_key(key)
        if PyBytes_GET_SIZE(data) == 0:
            raise ValueError(f"the key {key!r} is empty; a key needs at least one character or byte")
        return data

    cpdef object decode(self, bytes data):
        """The key whose bytes are ``data``.

        Raises
        ------
        CorruptError
            If they are not the bytes of a key in this mode.
        """
        if self.mode == KEYS_STR:
            try:
                return data.decode("utf-8")
            except UnicodeDecodeError:
                raise CorruptError(f"the stored key {data[:64]!r} is not UTF-8: it was damaged, or the store was not "
                                   'written with keys="str"; run verify()') from None
        if self.mode == KEYS_BYTES:
            return data
        if self.mode == KEYS_INT:
            if PyBytes_GET_SIZE(data) != 8:
                raise CorruptError(f"the stored key {data[:64]!r} is not of 8 bytes: it was damaged, or the store was "
                                   'not written with keys="int"; run verify()')
            return read_int64(<const unsigned char*>PyBytes_AS_STRING(data))
        return unpack_key(data)

    cpdef bytes prefix(self, p):
        """The bytes that the bytes of every key with the prefix ``p`` start with; ``""`` stands for all keys.

        With ``keys="any"`` a tuple is a prefix of the tuples that begin with its elements. See :meth:`bounds` for
        an exact range.
        """
        if type(p) is str and len(p) == 0:
            return b""
        if self.mode == KEYS_STR:
            return _utf8(p, "a prefix")
        if self.mode == KEYS_BYTES:
            return _content(p, "a prefix")
        if self.mode == KEYS_INT:
            raise UnsupportedError(f'with keys="int" keys have no prefix {p!r}; give start= and stop= to scan a range')
        return pack_prefix(p)

    cpdef tuple bounds(self, p):
        """The keys with the prefix ``p`` as a range of bytes.

        Returns
        -------
        (bytes, bytes or None)
            The first bytes within and the first beyond; None for no end. For text they are its prefix and the
            next one. After the elements of a tuple the next byte is never FF, except where the last one is a text
            whose 00 was escaped, and that is another key: ``("a",)`` is no prefix of ``("a\\0b",)``.
        """
        cdef bytes first = self.prefix(p)
        cdef bytes rest
        if isinstance(p, tuple):
            return first, first + b"\xff"
        rest = first.rstrip(b"\xff")
        if not rest:
            return first, None
        return first, rest[:-1] + bytes((rest[-1] + 1,))
