/* Exact str keys, read without the object protocol. */
#ifndef D43_STR_H
#define D43_STR_H
#include <Python.h>
#include <stdint.h>
#include <string.h>

#include "d43_section.h"

/* The hash that the str carries, or -1 where it was not asked for yet. */
static inline Py_hash_t d43_str_hash(PyObject *s) { return D43_NOW(((PyASCIIObject *)s)->hash); }

/* Whether n bytes are the same: as memcmp, but short texts, which keys are, cost no call. */
static inline int d43_same(const char *a, const char *b, size_t n) {
    uint64_t x, y, u, v;
    if (n > 32) return memcmp(a, b, n) == 0;
    if (n >= 8) {
        size_t i;
        memcpy(&x, a, 8);
        memcpy(&y, b, 8);
        memcpy(&u, a + n - 8, 8);
        memcpy(&v, b + n - 8, 8);
        if (((x ^ y) | (u ^ v)) != 0) return 0;
        for (i = 8; i + 8 < n; i += 8) {
            memcpy(&x, a + i, 8);
            memcpy(&y, b + i, 8);
            if (x != y) return 0;
        }
        return 1;
    }
    while (n--)
        if (a[n] != b[n]) return 0;
    return 1;
}

static inline int d43_str_equal(PyObject *a, PyObject *b) {
    Py_ssize_t n = PyUnicode_GET_LENGTH(a);
    int kind;
    if (n != PyUnicode_GET_LENGTH(b)) return 0;
    if (PyUnicode_IS_COMPACT_ASCII(a) && PyUnicode_IS_COMPACT_ASCII(b))
        return d43_same((const char *)((PyASCIIObject *)a + 1), (const char *)((PyASCIIObject *)b + 1), (size_t)n);
    kind = PyUnicode_KIND(a);
    return kind == (int)PyUnicode_KIND(b) &&
           d43_same((const char *)PyUnicode_DATA(a), (const char *)PyUnicode_DATA(b), (size_t)n * (size_t)kind);
}

/* Whether the text is a str by its exact type whose bytes are its UTF-8; then where and how many. Needs no GIL, only a
 * reference: such a str never changes. */
static inline int d43_str_plain(PyObject *s, const char **data, size_t *size) {
    if (!PyUnicode_CheckExact(s) || !PyUnicode_IS_COMPACT_ASCII(s)) return 0;
    *data = (const char *)((PyASCIIObject *)s + 1);
    *size = (size_t)PyUnicode_GET_LENGTH(s);
    return 1;
}

/* Whether a str is of the kind whose characters lie behind a short head: exact and ASCII. */
static inline int d43_str_is_ascii(PyObject *s) { return PyUnicode_CheckExact(s) && PyUnicode_IS_COMPACT_ASCII(s); }

/* As d43_str_equal, where d43_str_is_ascii(a) is known. */
static inline int d43_str_equal_ascii(PyObject *a, PyObject *b) {
    Py_ssize_t n = PyUnicode_GET_LENGTH(a);
    return n == PyUnicode_GET_LENGTH(b) && PyUnicode_IS_COMPACT_ASCII(b) &&
           d43_same((const char *)((PyASCIIObject *)a + 1), (const char *)((PyASCIIObject *)b + 1), (size_t)n);
}

/* Whether bytes that were made of a str hold no lone surrogate, whose UTF-8 begins with ED and a byte from A0 on. */
static inline int d43_utf8_sure(const char *p, size_t n) {
    const char *end = p + n;
    while (p < end && (p = (const char *)memchr(p, 0xED, (size_t)(end - p))) != NULL)
        if (++p == end || (unsigned char)*p >= 0xA0) return 0;
    return 1;
}

/* 0: a good key. 1: empty. 2: holds a lone surrogate, so that it has no UTF-8. */
static inline int d43_str_fault(PyObject *s) {
    Py_ssize_t n = PyUnicode_GET_LENGTH(s), i;
    if (n == 0) return 1;
    if (PyUnicode_KIND(s) == PyUnicode_1BYTE_KIND) return 0;
    for (i = 0; i < n; i++) {
        Py_UCS4 c = PyUnicode_READ_CHAR(s, i);
        if (c >= 0xD800 && c <= 0xDFFF) return 2;
    }
    return 0;
}

/* Whether others have the same object without asking: interned, or one of the ready-made short ones. */
static inline int d43_str_shared(PyObject *s) {
    return PyUnicode_CHECK_INTERNED(s) || PyUnicode_GET_LENGTH(s) == 0 ||
           (PyUnicode_GET_LENGTH(s) == 1 && PyUnicode_KIND(s) == PyUnicode_1BYTE_KIND);
}

#if PY_VERSION_HEX >= 0x030D0000 && PY_VERSION_HEX < 0x030E0000
PyAPI_FUNC(Py_hash_t) _Py_HashBytes(const void *, Py_ssize_t);     /* 3.13 exports it, but does not declare it */
#endif

/* What hash() gives for bytes, which is what it gives for a str of the same ASCII characters. */
static inline Py_hash_t d43_bytes_hash(const char *p, Py_ssize_t n) {
#if PY_VERSION_HEX < 0x030E0000
    return _Py_HashBytes(p, n);
#else
    return Py_HashBuffer(p, n);
#endif
}

/* The same for the key of a str or the bytes that stand for it: a str keeps it. Runs no Python code. */
static inline Py_hash_t d43_key_hash(PyObject *key, const char *p, Py_ssize_t n) {
    return key && d43_str_is_ascii(key) ? PyObject_Hash(key) : d43_bytes_hash(p, n);
}

/* Bytes that the str object occupies. */
static inline Py_ssize_t d43_str_size(PyObject *s) {
    Py_ssize_t head = PyUnicode_IS_COMPACT_ASCII(s) ? (Py_ssize_t)sizeof(PyASCIIObject)
                                                    : (Py_ssize_t)sizeof(PyCompactUnicodeObject);
    return head + (PyUnicode_GET_LENGTH(s) + 1) * (Py_ssize_t)PyUnicode_KIND(s);
}
#endif
