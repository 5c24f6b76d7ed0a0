"""Values as JSON: only what JSON brings back unchanged."""

from libc.math cimport isfinite

import msgspec

from door43fast.native.messagepack cimport DEEPEST, checked_text, damaged, is_word, refused

from door43fast.native.messagepack import Unfit

cdef object encode_json = msgspec.json.Encoder().encode
cdef object decode_json = msgspec.json.Decoder().decode


cdef int _check_json(value, int depth) except -1:
    cdef object kind = type(value)
    cdef Py_ssize_t i = 0
    if value is None or kind is bool:
        return 0
    if kind is str:
        checked_text(value)
        return 0
    if kind is float:
        if not isfinite(value):
            raise Unfit(ValueError, f"is {value}, which JSON cannot hold: use codec=\"auto\"")
        return 0
    if kind is int:
        if not is_word(value):
            raise Unfit(ValueError, "is an int beyond 64 bits, which JSON readers round: use codec=\"auto\"")
        return 0
    if kind is not dict and kind is not list:
        raise refused(value, "json")
    if depth == DEEPEST:
        raise Unfit(TypeError, f"is nested deeper than {DEEPEST} levels, or holds itself: such values are not stored")
    for item in list(value.items()) if kind is dict else list(value):
        try:
            if kind is dict:
                if type(item[0]) is not str:
                    raise Unfit(TypeError, f"is under a key of type {type(item[0]).__qualname__}, but the keys of "
                                           'JSON are str: use codec="auto"')
                checked_text(item[0])
                _check_json(item[1], depth + 1)
            else:
                _check_json(item, depth + 1)
        except Unfit as unfit:
            unfit.parts.append(f"[{repr(item[0]):.40}]" if kind is dict else f"[{i}]")
            raise
        i += 1
    return 0


def to_json(value):
    """``value`` as JSON bytes; what JSON would change is refused with its place."""
    try:
        _check_json(value, 0)
    except Unfit as unfit:
        raise unfit.error() from None
    return encode_json(value)


def from_json(payload):
    """The value of JSON bytes; CorruptError if they are none."""
    cdef const unsigned char[::1] data = payload
    cdef Py_ssize_t i
    cdef int depth = 0
    cdef bint text = False, escaped = False
    cdef unsigned char b
    for i in range(data.shape[0]):
        b = data[i]
        if text:
            text = escaped or b != c'"'
            escaped = not escaped and b == c'\\'
        elif b == c'"':
            text = True
        elif b == c'[' or b == c'{':
            depth += 1
            if depth > DEEPEST:
                raise damaged("JSON", "nested too deeply")
        elif b == c']' or b == c'}':
            depth -= 1
    try:
        return decode_json(payload)
    except (msgspec.DecodeError, ValueError) as error:
        raise damaged("JSON", error) from error
