"""How long the calls of a store take, one in so many: in a subclass that only measured stores have.

A store that is measured is given a subclass of its class (``door43fast.metrics.measuring``), whose methods are those
below: each counts down, and passes the call on to the method itself. So a store that is not measured runs not one
instruction more than if this module did not exist. What a call took is put into a histogram of fixed size, less what
asking the clock takes.
"""

from cpython.object cimport PyObject, PyTypeObject
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport calloc

from door43fast.native.core cimport Core
from door43fast.native.methods cimport METH_FASTCALL, METH_KEYWORDS, Call, PyMethodDef, method_put

cdef extern from "Python.h":
    PyObject* PyErr_Format(PyObject* error, const char* text, ...) noexcept

cdef extern from "d43_meter.h" nogil:
    enum:
        D43_BUCKETS
    PyMethodDef* d43_method_of(PyObject* method)

cdef tuple NAMES = ("get", "set", "delete", "incr", "get_many", "set_many", "delete_many", "get_packed", "set_packed")
SINGLE = frozenset(("get", "set", "delete", "incr"))

cdef int64_t COST = 1 << 62     # of asking the clock twice


cdef int _calibrate() except -1:
    global COST
    cdef int64_t begun
    for _ in range(200):
        begun = precise_ns()
        COST = min(COST, precise_ns() - begun)
    return 0

_calibrate()


cdef PyObject* sampled(Gauge* g, PyObject* self, PyObject** args, Py_ssize_t n, PyObject* names) noexcept:
    cdef PyObject* result
    cdef int64_t begun
    g.left = g.every
    begun = precise_ns()
    result = (<Counted>g.base)(self, args, n, names)
    gauge_add(g, precise_ns() - begun - COST)
    return result


cdef PyObject* counted(Gauge* g, PyObject* self, PyObject** args, Py_ssize_t n, PyObject* names) noexcept:
    return passed(g, self, args, n, names)


cdef PyObject* not_begun(PyObject* self) noexcept:
    """Of the class of a measured store, but not made so by ``begin``."""
    PyErr_Format(<PyObject*>TypeError, b"this %s was given the class of a measured store: call its measure() instead",
                 self.ob_type.tp_name)
    return NULL


# hot
cdef inline PyObject* passed(Gauge* g, PyObject* self, PyObject** args, Py_ssize_t n, PyObject* names) noexcept:
    cdef PyObject* result
    if g == NULL:
        return not_begun(self)
    g.left -= 1
    if g.left == 0:
        result = sampled(g, self, args, n, names)
    else:
        result = (<Counted>g.base)(self, args, n, names)
    if result == NULL:
        g.errors += 1
    return result


cdef inline Gauge* gauge_of(PyObject* self, Op op) noexcept:
    cdef Gauges* gauges = <Gauges*>(<Core>self).gauges
    return NULL if gauges == NULL else &gauges.gauge[<int>op]


cdef PyObject* get(PyObject* self, PyObject** args, Py_ssize_t n, PyObject* names) noexcept:
    return passed(gauge_of(self, GET), self, args, n, names)

cdef PyObject* set_(PyObject* self, PyObject** args, Py_ssize_t n, PyObject* names) noexcept:
    return passed(gauge_of(self, SET), self, args, n, names)

cdef PyObject* delete(PyObject* self, PyObject** args, Py_ssize_t n, PyObject* names) noexcept:
    return passed(gauge_of(self, DELETE), self, args, n, names)

cdef PyObject* incr(PyObject* self, PyObject** args, Py_ssize_t n, PyObject* names) noexcept:
    return passed(gauge_of(self, INCR), self, args, n, names)

cdef PyObject* get_many(PyObject* self, PyObject** args, Py_ssize_t n, PyObject* names) noexcept:
    return passed(gauge_of(self, GET_MANY), self, args, n, names)

cdef PyObject* set_many(PyObject* self, PyObject** args, Py_ssize_t n, PyObject* names) noexcept:
    return passed(gauge_of(self, SET_MANY), self, args, n, names)

cdef PyObject* delete_many(PyObject* self, PyObject** args, Py_ssize_t n, PyObject* names) noexcept:
    return passed(gauge_of(self, DELETE_MANY), self, args, n, names)

cdef PyObject* get_packed(PyObject* self, PyObject** args, Py_ssize_t n, PyObject* names) noexcept:
    return passed(gauge_of(self, GET_PACKED), self, args, n, names)

cdef PyObject* set_packed(PyObject* self, PyObject** args, Py_ssize_t n, PyObject* names) noexcept:
    return passed(gauge_of(self, SET_PACKED), self, args, n, names)

cdef Counted* CALLS = [get, set_, delete, incr, get_many, set_many, delete_many, get_packed, set_packed]


cdef class Methods:
    """The methods of one measured class; the class keeps it alive."""
    cdef PyMethodDef method[<int>OPS]
    cdef list texts

    def __init__(self, type measured, type plain):
        cdef int op
        cdef PyMethodDef* found
        cdef Counted call
        self.texts = []
        for op in range(len(NAMES)):
            found = base_of(plain, NAMES[op])       # refuses what cannot be measured so
            text = (getattr(plain, NAMES[op]).__doc__ or "").encode()
            name = (<str>NAMES[op]).encode()
            self.texts.append((text, name))
            call = hottest_counted if found.ml_meth == hottest else CALLS[op]
            method_put(<PyTypeObject*>measured, &self.method[op], name, <Call><void*>call, text)


cdef PyMethodDef* base_of(type plain, str name) except NULL:
    cdef object method = getattr(plain, name)
    cdef PyMethodDef* found = d43_method_of(<PyObject*>method)
    if found == NULL or found.ml_flags != (METH_FASTCALL | METH_KEYWORDS):
        raise TypeError(f"{plain.__name__}.{name} is no native method that can be measured")
    return found


def begin(Core store, type plain, uint32_t every):
    """Measure the first single call, then one in ``every``, and each batch.

    REQUIRES: then ``store`` is given its measured class.
    """
    cdef Gauges* gauges = <Gauges*>store.gauges
    cdef Gauge* g
    cdef int op
    if gauges == NULL:
        gauges = <Gauges*>calloc(1, sizeof(Gauges))
        if gauges == NULL:
            raise MemoryError()
        for op in range(OPS):
            gauges.gauge[op].least = <uint64_t>-1
        store.gauges = gauges
    for op in range(len(NAMES)):
        g = &gauges.gauge[op]
        g.every = every if NAMES[op] in SINGLE else 1
        g.left = 1
        g.base = base_of(plain, NAMES[op]).ml_meth
    gauges.on = True


def stop(Core store):
    """Measure no more; what was measured can still be read."""
    if store.gauges != NULL:
        (<Gauges*>store.gauges).on = False


def read(Core store):
    """For each kind of call that was measured: ``(every, errors, sum, least, most, counts of the buckets)``."""
    cdef Gauges* gauges = <Gauges*>store.gauges
    cdef Gauge* g
    cdef int op
    cdef dict found = {}
    if gauges == NULL:
        return found
    for op in range(OPS):
        g = &gauges.gauge[op]
        counts = [g.bucket[i] for i in range(D43_BUCKETS)]
        found["fetch" if op == FETCH else NAMES[op]] = (max(g.every, 1), g.errors, g.sum, g.least, g.most, counts)
    return found
