/* Exact str keys, read without the object protocol. */
#ifndef D43_STR_H
#define D43_STR_H
#include <Python.h>
#include <string.h>

/* The hash that the str carries, or -1 where it was not asked for yet. */
static inline Py_hash_t d43_str_hash(PyObject *s) { return ((PyASCIIObject *)s)->hash; }

static inline int d43_str_equal(PyObject *a, PyObject *b) {
    Py_ssize_t n = PyUnicode_GET_LENGTH(a);
    int kind = PyUnicode_KIND(a);
    return n == PyUnicode_GET_LENGTH(b) && kind == (int)PyUnicode_KIND(b) &&
           memcmp(PyUnicode_DATA(a), PyUnicode_DATA(b), (size_t)n * (size_t)kind) == 0;
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

/* Bytes that the str object occupies. */
static inline Py_ssize_t d43_str_size(PyObject *s) {
    Py_ssize_t head = PyUnicode_IS_COMPACT_ASCII(s) ? (Py_ssize_t)sizeof(PyASCIIObject)
                                                    : (Py_ssize_t)sizeof(PyCompactUnicodeObject);
    return head + (PyUnicode_GET_LENGTH(s) + 1) * (Py_ssize_t)PyUnicode_KIND(s);
}
#endif
