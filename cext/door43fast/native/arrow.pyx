"""The Arrow C data interface: a packed batch as a ``large_binary`` array.

The two structs and the capsules are those of Arrow's public specification, "The Arrow C data interface" and "The
Arrow PyCapsule Interface". A struct is moved by its consumer, which calls ``release`` once when it is done, from
any thread, with or without the GIL; a capsule that nobody consumed releases its struct itself.
"""

from cpython.object cimport PyObject
from cpython.pycapsule cimport PyCapsule_GetPointer, PyCapsule_New
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdint cimport int64_t, uint8_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

cdef extern from "Python.h":
    int Py_IsInitialized() nogil

cdef extern from *:
    """
    struct ArrowSchema {
        const char* format; const char* name; const char* metadata; int64_t flags; int64_t n_children;
        struct ArrowSchema** children; struct ArrowSchema* dictionary;
        void (*release)(struct ArrowSchema*); void* private_data;
    };
    struct ArrowArray {
        int64_t length; int64_t null_count; int64_t offset; int64_t n_buffers; int64_t n_children;
        const void** buffers; struct ArrowArray** children; struct ArrowArray* dictionary;
        void (*release)(struct ArrowArray*); void* private_data;
    };
    """
    struct ArrowSchema:
        const char* format
        const char* name
        int64_t flags
        void (*release)(ArrowSchema*) noexcept nogil
        void* private_data
    struct ArrowArray:
        int64_t length
        int64_t null_count
        int64_t n_buffers
        const void** buffers
        void (*release)(ArrowArray*) noexcept nogil
        void* private_data

cdef enum:
    NULLABLE = 2


cdef struct Lent:
    PyObject* owner
    const void* buffers[3]      # validity (ours, or NULL if nothing is missing), offsets, data
    uint8_t* validity


cdef void _release_schema(ArrowSchema* schema) noexcept nogil:
    schema.release = NULL       # its texts are constants


cdef void _release_array(ArrowArray* array) noexcept nogil:
    cdef Lent* lent = <Lent*>array.private_data
    array.release = NULL
    if Py_IsInitialized():      # after the interpreter's end there is no owner left to let go
        with gil:
            Py_DECREF(<object>lent.owner)
    free(lent.validity)
    free(lent)


cdef void _drop_schema(object capsule) noexcept:
    cdef ArrowSchema* schema = <ArrowSchema*>PyCapsule_GetPointer(capsule, "arrow_schema")
    if schema.release != NULL:
        schema.release(schema)
    free(schema)


cdef void _drop_array(object capsule) noexcept:
    cdef ArrowArray* array = <ArrowArray*>PyCapsule_GetPointer(capsule, "arrow_array")
    if array.release != NULL:
        array.release(array)
    free(array)


cdef object schema_capsule():
    cdef ArrowSchema* schema = <ArrowSchema*>calloc(1, sizeof(ArrowSchema))
    if schema == NULL:
        raise MemoryError()
    schema.format = "Z"
    schema.name = ""
    schema.flags = NULLABLE
    schema.release = _release_schema
    try:
        return PyCapsule_New(schema, "arrow_schema", <void (*)(object) noexcept>_drop_schema)
    except:
        free(schema)
        raise


cdef object array_capsule(owner, Py_ssize_t count, const char* data, const int64_t* offsets, const char* found):
    cdef ArrowArray* array = <ArrowArray*>calloc(1, sizeof(ArrowArray))
    cdef Lent* lent = <Lent*>calloc(1, sizeof(Lent))
    cdef uint8_t* validity = <uint8_t*>calloc(1, count // 8 + 1)
    cdef Py_ssize_t i, nulls = 0
    if array == NULL or lent == NULL or validity == NULL:
        free(array)
        free(lent)
        free(validity)
        raise MemoryError()
    for i in range(count):
        nulls += not found[i]
        validity[i >> 3] |= (found[i] != 0) << (i & 7)
    lent.validity = validity
    lent.buffers[0] = validity if nulls else NULL
    lent.buffers[1] = offsets
    lent.buffers[2] = data
    array.length = count
    array.null_count = nulls
    array.n_buffers = 3
    array.buffers = lent.buffers
    array.private_data = lent
    array.release = _release_array
    lent.owner = <PyObject*>owner
    Py_INCREF(owner)
    try:
        return PyCapsule_New(array, "arrow_array", <void (*)(object) noexcept>_drop_array)
    except:
        array.release(array)
        free(array)
        raise
