"""The codec "auto": each value under the mark that says how its bytes are read."""

from cpython.unicode cimport PyUnicode_AsUTF8String

import msgspec

from door43fast.native.messagepack cimport array_bytes, damaged, from_msgpack, is_array, to_msgpack

from door43fast.contracts import JSON, MSGPACK, NUMPY, PICKLE, RAW, STR
from door43fast.errors import CorruptError, UnsupportedError
from door43fast.native.jsontext import from_json
from door43fast.native.messagepack import Unfit

cdef int _RAW = RAW, _STR = STR, _MSGPACK = MSGPACK, _JSON = JSON, _NUMPY = NUMPY, _PICKLE = PICKLE


cdef class AutoCodec:
    """The default codec: bytes as they are, and what MessagePack and NumPy hold, each under a mark of its own.

    Bytes, bytearray and memoryview come back as bytes; everything else equal to what was set and of the same
    type. It never unpickles.
    """

    def __cinit__(self):
        self.name = "auto"

    def __reduce__(self):
        return AutoCodec, ()

    def __repr__(self):
        return '<codec "auto">'

    cpdef tuple encode(self, value):
        """The mark and the bytes of ``value``.

        Raises
        ------
        TypeError
            If it, or something in it, is of a type that is not stored; the message says where.
        ValueError
            If a text in it holds a lone surrogate.
        """
        cdef object kind = type(value)
        if kind is bytes:
            return RAW, value
        if kind is str:
            try:
                return STR, PyUnicode_AsUTF8String(value)
            except UnicodeEncodeError:
                raise ValueError("value holds a lone surrogate, which UTF-8 cannot hold: replace it, or store bytes") \
                    from None
        if kind is bytearray or kind is memoryview:
            return RAW, value.tobytes() if kind is memoryview else bytes(value)
        if is_array(value):
            try:
                return NUMPY, array_bytes(value)
            except Unfit as unfit:
                raise unfit.error() from None
        return MSGPACK, to_msgpack(value)

    cpdef object decode(self, int mark, payload):
        """The value with this mark and these bytes.

        Raises
        ------
        CorruptError
            If the bytes are not what the mark says, or the mark is unknown.
        UnsupportedError
            If the value was pickled: reading it would run code.
        """
        if mark == _RAW:
            return bytes(payload)
        if mark == _STR:
            try:
                return str(payload, "utf-8")
            except UnicodeDecodeError as error:
                raise damaged("UTF-8", error) from error
        if mark == _MSGPACK:
            return from_msgpack(payload)
        if mark == _JSON:
            return from_json(payload)
        if mark == _NUMPY:
            from door43fast.arrays import unpack
            try:
                return unpack(payload)
            except (msgspec.DecodeError, ValueError, TypeError, OverflowError) as error:
                raise damaged("an array", error) from error
        if mark == _PICKLE:
            raise UnsupportedError('this value was stored with codec="pickle", and unpickling runs code that it names: '
                                   'open the store with codec="pickle" if you trust everyone who can write to it')
        raise CorruptError(f"a stored value has the mark {mark}, which no codec of door43fast writes: it was damaged, "
                           "or written with a codec of its own; open the store with that codec, or run verify()")
