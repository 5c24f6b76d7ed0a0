/* What is measured of one kind of call: a histogram of nanoseconds in buckets of a sixteenth of a power of two, and the
 * countdown to the next call that is measured. No lock: under the GIL there is one writer, without one a count may go
 * astray, which a sample bears. */
#ifndef D43_METER_H
#define D43_METER_H
#include <Python.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#define D43_STEPS 16                        /* buckets to a power of two */
#define D43_BUCKETS (D43_STEPS * 38)        /* up to 2**41 ns, some 36 minutes; what is longer is in the last */

typedef PyObject* (*d43_call)(PyObject* self, PyObject* const* args, Py_ssize_t n, PyObject* names);

typedef struct {
    uint32_t left;                          /* calls until the next that is measured, that one included */
    uint32_t every;
    d43_call base;                          /* the method itself */
    uint64_t errors;                        /* calls that raised */
    uint64_t sum, least, most;
    uint64_t bucket[D43_BUCKETS];
} d43_gauge;

static inline int64_t d43_precise_ns(void) {
#if defined(_WIN32)
    struct timespec t;
    timespec_get(&t, TIME_UTC);
#else
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
#endif
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* The bucket of a span: itself below 16, then the exponent and the four bits after the first. */
static inline unsigned d43_bucket(uint64_t ns) {
    unsigned exponent;
    if (ns < D43_STEPS) return (unsigned)ns;
    exponent = 63 - (unsigned)__builtin_clzll(ns);
    exponent = (exponent - 3) * D43_STEPS + (unsigned)(ns >> (exponent - 4) & (D43_STEPS - 1));
    return exponent < D43_BUCKETS ? exponent : D43_BUCKETS - 1;
}

static inline void d43_gauge_add(d43_gauge* g, int64_t ns) {
    uint64_t span = ns > 0 ? (uint64_t)ns : 0;
    g->bucket[d43_bucket(span)] += 1;
    g->sum += span;
    if (span > g->most) g->most = span;
    if (span < g->least) g->least = span;
}

/* The flags and the function of a method of a native type, whether Cython made it with def or method_put did. */
static inline PyMethodDef* d43_method_of(PyObject* method) {
    if (Py_IS_TYPE(method, &PyMethodDescr_Type)) return ((PyMethodDescrObject*)method)->d_method;
    if (strstr(Py_TYPE(method)->tp_name, "cython_function_or_method"))
        return ((PyCFunctionObject*)method)->m_ml;      /* its first part is one */
    return NULL;
}
#endif
