/* Which keys were read of late: bits by the hash of the key, in two halves, of which the older is forgotten in turn.
 *
 * Readers set bits in the newer half, from any thread and without a lock. Whoever evicts looks in both, clears, and
 * turns the halves when the newer one is filled; one at a time. A bit may stand for several keys, and a set may be lost
 * to a turn at the same moment: it is a hint, and never wrong about what is in the store.
 */
#ifndef D43_MARKS_H
#define D43_MARKS_H
#include <stdint.h>
#include <stdlib.h>

typedef struct {
    uint64_t *bits;         /* 2 * words; NULL for none */
    uint64_t words;         /* of a half, a power of two */
    uint64_t newer;         /* 0 or words: where the newer half begins */
    uint64_t fresh;         /* bits set in it, about */
} d43_marks;

static inline int d43_marks_open(d43_marks *m, uint64_t words) {
    m->bits = calloc(2 * words, sizeof(uint64_t));
    m->words = words;
    m->newer = m->fresh = 0;
    return m->bits == 0;
}

static inline void d43_marks_close(d43_marks *m) {
    free(m->bits);
    m->bits = 0;
}

static inline void d43_mark(d43_marks *m, uint64_t hash) {
    uint64_t bit = (uint64_t)1 << (hash >> 58);
    uint64_t *word = m->bits + __atomic_load_n(&m->newer, __ATOMIC_RELAXED) + (hash & (m->words - 1));
    if (__atomic_load_n(word, __ATOMIC_RELAXED) & bit) return;
    __atomic_fetch_or(word, bit, __ATOMIC_RELAXED);
    __atomic_fetch_add(&m->fresh, 1, __ATOMIC_RELAXED);
}

/* Whether the key was marked; it is not from now on. */
static inline int d43_unmark(d43_marks *m, uint64_t hash) {
    uint64_t bit = (uint64_t)1 << (hash >> 58), *word = m->bits + (hash & (m->words - 1));
    uint64_t was = __atomic_fetch_and(word, ~bit, __ATOMIC_RELAXED);
    was |= __atomic_fetch_and(word + m->words, ~bit, __ATOMIC_RELAXED);
    return (was & bit) != 0;
}

/* Forget the older half if the newer one has a mark for every other bit. */
static inline void d43_marks_turn(d43_marks *m) {
    uint64_t i, older = m->newer ^ m->words;
    if (__atomic_load_n(&m->fresh, __ATOMIC_RELAXED) < m->words * 32) return;
    for (i = 0; i < m->words; i++) __atomic_store_n(m->bits + older + i, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&m->fresh, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&m->newer, older, __ATOMIC_RELAXED);
}
#endif
