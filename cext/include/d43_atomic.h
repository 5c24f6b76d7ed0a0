/* The few atomic steps that the native modules take, under one spelling. */
#ifndef D43_ATOMIC_H
#define D43_ATOMIC_H
#include <sched.h>
#include <stdint.h>

static inline void *d43_peek(void **place) { return __atomic_load_n(place, __ATOMIC_ACQUIRE); }
static inline void *d43_swap(void **place, void *value) { return __atomic_exchange_n(place, value, __ATOMIC_ACQ_REL); }
static inline int d43_put_if_null(void **place, void *value) {
    void *none = 0;
    return __atomic_compare_exchange_n(place, &none, value, 0, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}
static inline uint64_t d43_load(const volatile uint64_t *p) { return __atomic_load_n(p, __ATOMIC_ACQUIRE); }
static inline void d43_store(volatile uint64_t *p, uint64_t v) { __atomic_store_n(p, v, __ATOMIC_RELEASE); }
static inline uint64_t d43_add(volatile uint64_t *p, uint64_t v) { return __atomic_add_fetch(p, v, __ATOMIC_ACQ_REL); }
static inline int d43_raise_to(volatile uint64_t *p, uint64_t v) { /* 1 if this call raised *p to v */
    uint64_t was = __atomic_load_n(p, __ATOMIC_ACQUIRE);
    while (was < v)
        if (__atomic_compare_exchange_n(p, &was, v, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) return 1;
    return 0;
}
static inline int d43_put_if(volatile uint64_t *p, uint64_t was, uint64_t v) {
    return __atomic_compare_exchange_n(p, &was, v, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}
/* Between two looks at what another thread is about to say: at first a moment, then others may run. */
static inline void d43_wait(int turn) {
    if (turn >= 100) sched_yield();
#if defined(__x86_64__) || defined(__i386__)
    else __builtin_ia32_pause();
#endif
}
/* A lock that nobody waits for: who does not get it does without. */
static inline int d43_try_lock(volatile uint64_t *p) {
    uint64_t none = 0;
    return __atomic_compare_exchange_n(p, &none, 1, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}
/* What was read before it was read before what is read after it; the same for writes. */
static inline void d43_fence(void) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
static inline void d43_fence_reads(void) { __atomic_thread_fence(__ATOMIC_ACQUIRE); }
#endif
