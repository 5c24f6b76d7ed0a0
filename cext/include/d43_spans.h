/* Memory for one result, which is filled from its start and made smaller at its end.
 *
 * From D43_SPAN on it is mapped, in whole huge pages: else the kernel is asked for every 4 KiB of it. The kernel
 * clears each huge page before it hands it out, which costs as much as filling it. So a span that is given back is
 * kept for the next result of about its size: never more than D43_KEPT bytes in D43_SHELVES spans for the whole
 * process, and what nobody took within a second is unmapped, by a thread that ends when nothing is kept.
 *
 * A kept span is one word, its address and in the low bits its number of huge pages, and whoever swaps the word for 0
 * owns the span. So no lock is held at a fork; the child unmaps what was kept. ``size`` is what a block holds, exactly,
 * whenever it is given back; what a block has grown to is told in it.
 *
 * Include it in one module only: what is kept is static.
 */
#ifndef D43_SPANS_H
#define D43_SPANS_H
#include "d43_atomic.h"
#include "d43_pages.h"

#if defined(__linux__)
#include <pthread.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#define D43_SPAN ((size_t)4 << 20)
#define D43_KEPT ((uint64_t)256 << 20)
#define D43_SHELVES 8

static struct { uint64_t span, turns; } d43_shelf[D43_SHELVES];    /* turns: how often a span was laid there */
static uint64_t d43_kept_bytes, d43_watched;

static inline char *d43_shelf_start(uint64_t span) { return (char *)(uintptr_t)(span & ~(uint64_t)(D43_HUGE - 1)); }
static inline size_t d43_shelf_size(uint64_t span) { return (size_t)(span & (D43_HUGE - 1)) * D43_HUGE; }

static inline int d43_shelf_take(int i, uint64_t span) {
    if (!__atomic_compare_exchange_n(&d43_shelf[i].span, &span, 0, 0, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) return 0;
    __atomic_sub_fetch(&d43_kept_bytes, d43_shelf_size(span), __ATOMIC_ACQ_REL);
    return 1;
}
static inline void d43_shelf_drop(int i, uint64_t span) {
    if (span && d43_shelf_take(i, span)) munmap(d43_shelf_start(span), d43_shelf_size(span));
}
static inline void d43_shelves_clear(void) {
    for (int i = 0; i < D43_SHELVES; i++) d43_shelf_drop(i, d43_load(&d43_shelf[i].span));
}
static void *d43_shelves_watch(void *unused) {
    uint64_t seen[D43_SHELVES];
    const struct timespec second = {1, 0};
    (void)unused;
    for (int i = 0; i < D43_SHELVES; i++) seen[i] = d43_load(&d43_shelf[i].turns);
    do {
        do {
            nanosleep(&second, NULL);
            for (int i = 0; i < D43_SHELVES; i++) {
                uint64_t turns = d43_load(&d43_shelf[i].turns);
                if (turns == seen[i]) d43_shelf_drop(i, d43_load(&d43_shelf[i].span));
                seen[i] = turns;
            }
        } while (d43_load(&d43_kept_bytes));
        d43_store(&d43_watched, 0);
        d43_fence();            /* a span that was laid down before is seen here, or its owner sees the 0 */
    } while (d43_load(&d43_kept_bytes) && d43_try_lock(&d43_watched));
    return NULL;
}
/* All signals are blocked in the thread: they are for threads that run Python. */
static inline void d43_shelves_guard(void) {
    sigset_t all, before;
    pthread_t thread;
    d43_fence();
    if (d43_load(&d43_watched) || !d43_try_lock(&d43_watched)) return;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    if (pthread_create(&thread, NULL, d43_shelves_watch, NULL)) {   /* nobody to give it back: nothing is kept */
        d43_store(&d43_watched, 0);
        d43_shelves_clear();
    } else pthread_detach(thread);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}
/* In a child there is no such thread. */
static void d43_shelves_forked(void) {
    d43_shelves_clear();
    d43_store(&d43_kept_bytes, 0);      /* a span that another thread was about to lay down is lost to the child */
    d43_store(&d43_watched, 0);
}
static inline int d43_spans_start(void) { return pthread_atfork(NULL, NULL, d43_shelves_forked); }
static inline size_t d43_spans_kept(void) { return (size_t)d43_load(&d43_kept_bytes); }

static inline void d43_shelf_lay(char *start, size_t size) {
    uint64_t span = (uint64_t)(uintptr_t)start | size / D43_HUGE;
    if (size <= D43_KEPT && d43_add(&d43_kept_bytes, size) <= D43_KEPT) {
        for (int i = 0; i < D43_SHELVES; i++) {
            uint64_t none = 0;
            if (!__atomic_compare_exchange_n(&d43_shelf[i].span, &none, span, 0, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
                continue;
            d43_add(&d43_shelf[i].turns, 1);
            d43_shelves_guard();
            return;
        }
    }
    if (size <= D43_KEPT) __atomic_sub_fetch(&d43_kept_bytes, size, __ATOMIC_ACQ_REL);
    munmap(start, size);
}
/* A kept span of ``size`` or up to a quarter more, the smallest there is. */
static inline void *d43_shelf_find(size_t *size) {
    for (;;) {
        uint64_t best = 0;
        int at = 0;
        for (int i = 0; i < D43_SHELVES; i++) {
            uint64_t span = d43_load(&d43_shelf[i].span);
            size_t holds = d43_shelf_size(span);
            if (holds >= *size && holds - *size <= *size / 4 && (!best || holds < d43_shelf_size(best)))
                best = span, at = i;
        }
        if (!best) return NULL;
        if (!d43_shelf_take(at, best)) continue;
        *size = d43_shelf_size(best);
        return d43_shelf_start(best);
    }
}

static inline void *d43_span_alloc(size_t *size) {
    if (*size < D43_SPAN) return malloc(*size ? *size : 1);
    if (*size > ((size_t)1 << 46)) return NULL;
    *size = d43_pages_size(*size);
    void *kept = d43_shelf_find(size);
    return kept ? kept : d43_pages_alloc(*size);
}
static inline void d43_span_free(void *p, size_t size) {
    if (!p || size < D43_SPAN) free(p);
    else d43_shelf_lay((char *)p, size);
}
/* The same content in a block of ``*size`` bytes, which is more than it had; NULL, and the old one stays as it is. */
static inline void *d43_span_grow(void *p, size_t had, size_t used, size_t *size) {
    if (*size < D43_SPAN) return realloc(p, *size);
    void *grown = d43_span_alloc(size);
    if (!grown) return NULL;
    if (used) memcpy(grown, p, used);
    d43_span_free(p, had);
    return grown;
}
/* What is far beyond ``size`` goes back; returns the block, and in ``size`` what it then holds. A span that is a
 * quarter too large stays as it is, so that it fits the next time; one that is hardly used is laid down for that, and
 * what is in it moves: to copy that costs less than it costs the kernel to clear the other half again. */
static inline void *d43_span_fit(void *p, size_t had, size_t *size) {
    size_t used = *size, need = used;
    if (had < D43_SPAN) {
        void *fitted = realloc(p, used ? used : 1);
        return fitted ? fitted : p;
    }
    if (used <= had / 2) {
        void *moved = d43_span_alloc(&need);
        if (moved) {
            if (used) memcpy(moved, p, used);
            d43_span_free(p, had);
            *size = need;
            return moved;
        }
    }
    need = d43_pages_size(used < D43_SPAN ? D43_SPAN : used);
    *size = had - need > need / 4 ? need : had;
    if (*size < had) munmap((char *)p + *size, had - *size);
    return p;
}
#else
static inline int d43_spans_start(void) { return 0; }
static inline size_t d43_spans_kept(void) { return 0; }
static inline void *d43_span_alloc(size_t *size) { return malloc(*size ? *size : 1); }
static inline void d43_span_free(void *p, size_t size) { (void)size; free(p); }
static inline void *d43_span_grow(void *p, size_t had, size_t used, size_t *size) {
    (void)had, (void)used;
    return realloc(p, *size);
}
static inline void *d43_span_fit(void *p, size_t had, size_t *size) {
    (void)had;
    void *fitted = realloc(p, *size ? *size : 1);
    return fitted ? fitted : p;
}
#endif
#endif
