/* What stands in for the GIL where there is none: FREE, a constant that is 0 on builds with a GIL, so that the compiler
 * leaves out all that follows it; and a lock for steps of nanoseconds.
 *
 * A store is guarded by CPython's critical section on the store object: ``with cython.critical_section(store)``, which
 * is nothing on builds with a GIL. It is given up whenever its thread waits or is stopped, and taken again before that
 * goes on: it guards what the GIL guards, and the rule of table.pyx (no Python code in the middle of a change) is the
 * same.
 *
 * A d43_spin guards what is not reached through one store alone. REQUIRES: whoever holds it calls nothing that may run
 * Python code, wait, or take another lock. */
#ifndef D43_SECTION_H
#define D43_SECTION_H
#include <Python.h>
#include <stdint.h>

#ifdef Py_GIL_DISABLED
#include <sched.h>
#define D43_FREE 1

static inline void d43_yield(void) { sched_yield(); }

static inline void d43_spin_lock(uint32_t *lock) {
    int turn = 0;
    while (__atomic_exchange_n(lock, 1, __ATOMIC_ACQUIRE))
        while (__atomic_load_n(lock, __ATOMIC_RELAXED))
            if (++turn > 100) d43_yield();
}
static inline void d43_spin_unlock(uint32_t *lock) { __atomic_store_n(lock, 0, __ATOMIC_RELEASE); }
/* A number that others may read or write at the same time, with no order between it and anything else. */
#define D43_NOW(place) __atomic_load_n(&(place), __ATOMIC_RELAXED)
#define D43_PUT(place, value) __atomic_store_n(&(place), (value), __ATOMIC_RELAXED)

/* In the child of a fork: the lock of an object's critical section may have been handed to a thread that is not here,
 * and would never be given back. REQUIRES: no other thread has begun, and this one is detached, so it holds none. */
static inline void d43_section_free(PyObject *o) { __atomic_store_n(&o->ob_mutex._bits, 0, __ATOMIC_RELAXED); }
#else
#define D43_FREE 0

static inline void d43_yield(void) {}
static inline void d43_spin_lock(uint32_t *lock) { (void)lock; }
static inline void d43_spin_unlock(uint32_t *lock) { (void)lock; }
#define D43_NOW(place) (place)
#define D43_PUT(place, value) ((place) = (value))
static inline void d43_section_free(PyObject *o) { (void)o; }
#endif
#endif
