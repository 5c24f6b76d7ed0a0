/* 64-bit integers as keys, hashed and compared as Python's own int without making one. */
#ifndef D43_INT_H
#define D43_INT_H
#include <Python.h>
#include <stdint.h>

/* What hash(int) gives: the number modulo a prime, 2**61 - 1, with its sign, and -2 for -1. */
static inline Py_hash_t d43_int64_hash(int64_t v) {
    uint64_t size = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
    Py_hash_t h;
    if (size >= _PyHASH_MODULUS) size %= _PyHASH_MODULUS;
    h = v < 0 ? -(Py_hash_t)size : (Py_hash_t)size;
    return h == -1 ? -2 : h;
}

/* Whether an object is an exact int of this value. */
static inline int d43_int64_is(PyObject *o, int64_t v) {
    int overflow;
    if (!PyLong_CheckExact(o)) return 0;
#if PY_VERSION_HEX < 0x030C0000
    /* Up to two digits, read without a call: nearly all keys. */
    if (Py_SIZE(o) <= 2 && Py_SIZE(o) >= 0) {
        const digit *d = ((PyLongObject *)o)->ob_digit;
        return v == (Py_SIZE(o) == 2 ? (int64_t)d[1] << PyLong_SHIFT | d[0] : Py_SIZE(o) ? (int64_t)d[0] : 0);
    }
#else
    if (PyUnstable_Long_IsCompact((PyLongObject *)o)) return v == PyUnstable_Long_CompactValue((PyLongObject *)o);
#endif
    return PyLong_AsLongLongAndOverflow(o, &overflow) == v && !overflow;
}
#endif
