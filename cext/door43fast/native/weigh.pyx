"""What a key and its value weigh in a budget of bytes: the memory that they really hold."""

import sys
from datetime import datetime

from cpython.object cimport PyObject

from door43fast.native.encoded cimport Encoded

from door43fast.errors import BudgetError

cdef extern from "d43_str.h" nogil:
    Py_ssize_t d43_str_size(PyObject* s) noexcept
    bint d43_str_shared(PyObject* s) noexcept

cdef extern from *:
    """
    #ifdef Py_GIL_DISABLED
    #define D43_GC_HEAD 0
    #else
    #define D43_GC_HEAD 16
    #endif
    #define D43_BYTES_HEAD ((Py_ssize_t)offsetof(PyBytesObject, ob_sval) + 1)
    #define D43_ENCODED ((Py_ssize_t)sizeof(PyObject) + 16)
    """
    const int64_t GC_HEAD "D43_GC_HEAD"         # before every container
    const int64_t BYTES_HEAD "D43_BYTES_HEAD"
    const int64_t ENCODED_HEAD "D43_ENCODED"

cdef enum:
    DEEPEST = 32        # containers in containers; what holds itself is deeper than any


cdef int64_t rounded(int64_t n) noexcept:
    """As the allocator rounds it: to 16 bytes, with a header of 16 beyond 512."""
    n = (n + 15) & ~15
    return n + 16 if n > 512 else n


cdef int64_t container(object x) except -1:
    """What a container holds without its items: its head, and its table in a block of its own where it has one."""
    cdef int64_t size = sys.getsizeof(x)
    cdef int64_t head = (<PyObject*>x).ob_type.tp_basicsize + GC_HEAD
    return rounded(head) + (rounded(size - head) if size > head else 0)


cdef int64_t all_held_by(list items, int depth) except? -1:
    """What the items of a container hold. Interned strings and small integers are everybody's and weigh nothing."""
    cdef int64_t total = 0
    cdef int64_t one
    for item in items:
        if type(item) is str and d43_str_shared(<PyObject*>item) or type(item) is int and -5 <= item <= 256:
            continue
        one = held_by(item, depth - 1)
        if one < 0:
            return -1
        total += one
    return total


cdef int64_t held_by(object x, int depth) except? -1:
    """Bytes that ``x`` holds, -1 where that cannot be told from its type, or it is nested deeper than ``depth``."""
    cdef int64_t held = 0
    cdef int64_t more = 0
    if depth < 0:
        return -1
    kind = type(x)
    if kind is bytes:
        return rounded(BYTES_HEAD + len(<bytes>x))
    if kind is str:
        return rounded(d43_str_size(<PyObject*>x))
    if kind is Encoded:
        return ENCODED_HEAD + rounded(BYTES_HEAD + len((<Encoded>x).payload))
    if x is None or kind is bool:
        return 0
    if kind is int or kind is float or kind is complex or kind is bytearray or kind is datetime:
        return rounded(sys.getsizeof(x))
    if kind is tuple:
        held = all_held_by(list(x), depth)
        return -1 if held < 0 else held + rounded(sys.getsizeof(x))
    if kind is list or kind is set or kind is frozenset:
        held = all_held_by(list(x), depth)
        return -1 if held < 0 else held + container(x)
    if kind is dict:
        held = all_held_by(list(<dict>x), depth)
        more = all_held_by(list((<dict>x).values()), depth)
        return -1 if held < 0 or more < 0 else held + more + container(x)
    numpy = sys.modules.get("numpy")    # an array can only be at hand where NumPy was imported
    if numpy is not None and kind is numpy.ndarray and not x.dtype.hasobject:
        return rounded(sys.getsizeof(x) if x.base is None else 128 + x.nbytes)
    if numpy is not None and isinstance(x, numpy.generic) and not x.dtype.hasobject:
        return rounded(sys.getsizeof(x))
    return -1


cdef int64_t weigh(object key, object value, object weigher) except -1:
    """The weight of an entry, by the caller's ``weigher`` where there is one, else by what the objects hold.

    Raises ``BudgetError`` where the types do not tell and no weigher was given. May run Python code.
    """
    cdef int64_t k, v
    if weigher is not None:
        weight = weigher(key, value)
        if not isinstance(weight, int) or weight < 0 or weight >= <int64_t>1 << 62:
            raise ValueError(f"weigher gave {weight!r} for key {key!r}: it must give a whole number of bytes, "
                             "0 or more")
        return weight
    k = held_by(key, DEEPEST)
    if k < 0:
        raise BudgetError(f"max_bytes cannot weigh the key {key!r} of type {type(key).__name__}: "
                          "open the store with weigher=")
    v = held_by(value, DEEPEST)
    if v < 0:
        raise BudgetError(f"max_bytes cannot weigh the value of type {type(value).__name__} under key {key!r}: "
                          "open the store with weigher=, or store bytes, str, numbers, arrays, or plain "
                          "containers of these")
    return k + v + BOOKKEEPING
