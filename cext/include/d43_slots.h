/* Reads that take no lock: each thread has a slot in which it says that it reads, and notes what it read.
 *
 * A table is ``open`` while nobody changes it. A reader marks its slot, looks whether the table is still open, reads,
 * and unmarks. Who is about to change the table closes it and waits until no slot is marked; a reader never waits, runs
 * no Python code and is never stopped while its slot is marked, so this takes nanoseconds. The mark and ``open`` are
 * written and read with sequential consistency: either the reader sees that the table is closed, or the one who closes
 * sees the mark. (A lock with a bias for readers: Dice and Kogan, BRAVO, 2019.)
 *
 * What a read does beside reading, its count and its touch of the recency, stays in the slot until somebody who has the
 * table's lock takes it from there: at the latest before the next change, so an entry that is named there still exists.
 *
 * Who opens and closes, and who takes from a slot without closing, holds the lock of the table; the latter marks the
 * slot as a reader does. */
#ifndef D43_SLOTS_H
#define D43_SLOTS_H
#include <Python.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "d43_section.h"

#define D43_SLOTS 32        /* threads that share one, by chance or being more than that, take the lock at times */
#define D43_SLOT_NOTES 120  /* a slot is 512 bytes */
#define D43_SLOT_LINE 64

typedef struct {
    uint32_t marked;
    uint32_t count;                     /* of the notes */
    uint64_t hits, misses;
    uint32_t note[D43_SLOT_NOTES];      /* entries that were read, in this order */
    uint64_t spare;
} d43_slot;

typedef struct {
    d43_slot slot[D43_SLOTS];
    uint32_t open;
    uint32_t used;                      /* a bit for each slot that ever was marked */
    void *block;                        /* what malloc gave */
} d43_slots;

static inline d43_slots *d43_slots_new(void) {
    size_t size = sizeof(d43_slots) + D43_SLOT_LINE;
    void *block = calloc(1, size);
    d43_slots *s = (d43_slots *)(((uintptr_t)block + D43_SLOT_LINE - 1) & ~(uintptr_t)(D43_SLOT_LINE - 1));
    if (!block) return NULL;
    s->block = block;
    return s;
}

static inline void d43_slots_free(d43_slots *s) {
    if (s) free(s->block);
}

static inline d43_slots *d43_slots_of(void **place) { return (d43_slots *)__atomic_load_n(place, __ATOMIC_ACQUIRE); }
static inline void d43_slots_publish(void **place, d43_slots *s) { __atomic_store_n(place, s, __ATOMIC_RELEASE); }
static inline int d43_slots_open(d43_slots *s) { return (int)__atomic_load_n(&s->open, __ATOMIC_SEQ_CST); }
static inline void d43_slots_set_open(d43_slots *s) { __atomic_store_n(&s->open, 1, __ATOMIC_SEQ_CST); }

/* The slot of this thread, the same in every module. */
static inline uint32_t d43_slot_number(void) {
    static _Thread_local uint32_t number;
    if (!number) number = (uint32_t)(PyThreadState_GetID(PyThreadState_Get()) % D43_SLOTS) + 1;
    return number - 1;
}

/* Mark a slot, whether the table is open or not. REQUIRES: the lock of the table. */
static inline d43_slot *d43_slot_take(d43_slots *s, uint32_t number) {
    d43_slot *mine = &s->slot[number];
    d43_spin_lock(&mine->marked);
    return mine;
}

static inline void d43_slot_leave(d43_slot *mine) { d43_spin_unlock(&mine->marked); }

/* Mark the slot of this thread; NULL if another thread has it, or the table is closed. */
static inline d43_slot *d43_slot_enter(d43_slots *s) {
    uint32_t number = d43_slot_number();
    d43_slot *mine = &s->slot[number];
    if (!(__atomic_load_n(&s->used, __ATOMIC_SEQ_CST) & (uint32_t)1 << number))
        __atomic_fetch_or(&s->used, (uint32_t)1 << number, __ATOMIC_SEQ_CST);
    if (__atomic_exchange_n(&mine->marked, 1, __ATOMIC_SEQ_CST)) return NULL;
    if (__atomic_load_n(&s->open, __ATOMIC_SEQ_CST)) return mine;
    d43_slot_leave(mine);
    return NULL;
}

/* Close the table, and wait until nobody reads. REQUIRES: the lock of the table. */
static inline void d43_slots_close(d43_slots *s) {
    uint32_t used, number;
    int turn = 0;
    __atomic_store_n(&s->open, 0, __ATOMIC_SEQ_CST);
    used = __atomic_load_n(&s->used, __ATOMIC_SEQ_CST);
    for (number = 0; number < D43_SLOTS; number++)
        while (used >> number & 1 && __atomic_load_n(&s->slot[number].marked, __ATOMIC_SEQ_CST))
            if (++turn > 100) d43_yield();
}
#endif
