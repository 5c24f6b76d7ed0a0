/* Elements of arrays of texts as keys: hashed and compared as the str or bytes that they would be, without making one.
 *
 * An element has a fixed width and is filled up with zeros, which do not belong to it. One of four bytes a character is
 * narrowed first, if it is ASCII: that is the form in which Python keeps and hashes such a str. */
#ifndef D43_TEXT_H
#define D43_TEXT_H
#include <Python.h>
#include <stdint.h>
#include <string.h>

#include "d43_str.h"

#define D43_TEXT 64

typedef struct {
    Py_ssize_t size;
    char data[D43_TEXT];
} d43_text;

/* The element at p, of so many characters and four bytes each if wide. 0: it must be taken as an object. */
static inline int d43_text_read(d43_text *t, const char *p, Py_ssize_t characters, int wide) {
    uint32_t c, all = 0;
    Py_ssize_t n = 0, i;
    if (!wide) {
        while (characters && !p[characters - 1]) characters--;
        if (!characters || characters > D43_TEXT) return 0;
        memcpy(t->data, p, (size_t)characters);
        t->size = characters;
        return 1;
    }
    for (i = 0; i < characters; i++) {
        memcpy(&c, p + 4 * i, 4);
        if (!c) continue;
        if (i >= D43_TEXT) return 0;
        while (n < i) t->data[n++] = 0;
        t->data[n++] = (char)c;
        all |= c;
    }
    t->size = n;
    return n > 0 && all < 128;
}

static inline Py_hash_t d43_text_hash(const d43_text *t) { return d43_bytes_hash(t->data, t->size); }

/* Whether an object is the element; ``ascii``: d43_str_is_ascii(o) is known. */
static inline int d43_text_is(PyObject *o, const d43_text *t, int wide, int ascii) {
    if (wide)
        return (ascii || d43_str_is_ascii(o)) && PyUnicode_GET_LENGTH(o) == t->size &&
               d43_same((const char *)((PyASCIIObject *)o + 1), t->data, (size_t)t->size);
    return PyBytes_CheckExact(o) && PyBytes_GET_SIZE(o) == t->size &&
           d43_same(PyBytes_AS_STRING(o), t->data, (size_t)t->size);
}

/* The element as the object that stands for it: a new reference, or NULL with an exception. */
static inline PyObject *d43_text_object(const char *p, Py_ssize_t characters, int wide) {
    uint32_t c = 0;
    if (!wide) {
        while (characters && !p[characters - 1]) characters--;
        return PyBytes_FromStringAndSize(p, characters);
    }
    while (characters) {
        memcpy(&c, p + 4 * (characters - 1), 4);
        if (c) break;
        characters--;
    }
    return PyUnicode_FromKindAndData(PyUnicode_4BYTE_KIND, p, characters);
}
#endif
