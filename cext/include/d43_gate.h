/* A gate: many calls may be inside at once, or one remap alone.
 *
 * The fast way in and out is one atomic add each. ``readers`` and ``exclusive`` are read and written with sequential
 * consistency, so that either the one who enters sees ``exclusive``, or the one who wants to be alone sees the reader.
 * Whoever holds the GIL uses d43_gate_try, and lets go of the GIL before it waits in d43_gate_enter: a call inside may
 * want the GIL before it leaves.
 */
#ifndef D43_GATE_H
#define D43_GATE_H
#include <pthread.h>
#include <stdint.h>

typedef struct {
    int64_t readers;
    int exclusive;
    pthread_mutex_t lock;
    pthread_cond_t changed;
} d43_gate;

static inline void d43_gate_init(d43_gate *g) {
    g->readers = 0;
    g->exclusive = 0;
    pthread_mutex_init(&g->lock, NULL);
    pthread_cond_init(&g->changed, NULL);
}

static inline void d43_gate_leave(d43_gate *g) {
    if (__atomic_sub_fetch(&g->readers, 1, __ATOMIC_SEQ_CST) == 0 && __atomic_load_n(&g->exclusive, __ATOMIC_SEQ_CST)) {
        pthread_mutex_lock(&g->lock);
        pthread_cond_broadcast(&g->changed);
        pthread_mutex_unlock(&g->lock);
    }
}

static inline int d43_gate_try(d43_gate *g) {
    __atomic_add_fetch(&g->readers, 1, __ATOMIC_SEQ_CST);
    if (!__atomic_load_n(&g->exclusive, __ATOMIC_SEQ_CST)) return 1;
    d43_gate_leave(g);
    return 0;
}

static inline void d43_gate_enter(d43_gate *g) {
    while (!d43_gate_try(g)) {
        pthread_mutex_lock(&g->lock);
        while (__atomic_load_n(&g->exclusive, __ATOMIC_SEQ_CST)) pthread_cond_wait(&g->changed, &g->lock);
        pthread_mutex_unlock(&g->lock);
    }
}

/* Whether the caller, who is inside, is there alone: what nobody can reach any more may be freed. */
static inline int d43_gate_alone(d43_gate *g) { return __atomic_load_n(&g->readers, __ATOMIC_SEQ_CST) == 1; }

/* Wait until nobody is inside and keep everybody out. REQUIRES: the caller is not inside itself. */
static inline void d43_gate_close(d43_gate *g) {
    pthread_mutex_lock(&g->lock);
    while (__atomic_load_n(&g->exclusive, __ATOMIC_SEQ_CST)) pthread_cond_wait(&g->changed, &g->lock);
    __atomic_store_n(&g->exclusive, 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&g->readers, __ATOMIC_SEQ_CST) > 0) pthread_cond_wait(&g->changed, &g->lock);
    pthread_mutex_unlock(&g->lock);
}

static inline void d43_gate_open(d43_gate *g) {
    pthread_mutex_lock(&g->lock);
    __atomic_store_n(&g->exclusive, 0, __ATOMIC_SEQ_CST);
    pthread_cond_broadcast(&g->changed);
    pthread_mutex_unlock(&g->lock);
}
#endif
