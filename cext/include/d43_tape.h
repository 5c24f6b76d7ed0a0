/* A recording under way: hashes go into a block of memory, and a thread of its own writes full blocks to a file.
 *
 * Who records (one thread at a time, holding the GIL, or the recording's lock where there is none) puts a hash at
 * ``at`` and calls d43_tape_turn when that reaches ``end``; it never touches the file. The writer never takes the GIL:
 * it leaves out what is not of the sample, and writes the rest with a head and a checksum. It is waited for only when
 * D43_TAPE_BLOCKS blocks lie before it. A write that fails ends the recording: the file is cut back to what was whole,
 * and ``error`` says why. In the child of a fork the tape is off: its thread, and the file, are the parent's.
 *
 * The layout of the file is described in docs/format.md. */
#ifndef D43_TAPE_H
#define D43_TAPE_H
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "d43_fork.h"

#define D43_TAPE_BLOCK 16384        /* hashes */
#define D43_TAPE_BLOCKS 64          /* blocks of memory at the most: 8 MiB */
#define D43_TAPE_HEAD 4             /* words of a block's head in the file */
#define D43_TAPE_LINGER 3000000     /* nanoseconds that the writer waits for more before it must be called */

typedef struct d43_tape_block {
    struct d43_tape_block *next;
    uint64_t count;
    uint64_t head[D43_TAPE_HEAD];   /* lies right before the hashes, as in the file */
    uint64_t hash[D43_TAPE_BLOCK];
} d43_tape_block;

typedef struct {
    uint64_t *at, *end;             /* these, ``filling`` and ``count`` are of the thread that records */
    d43_tape_block *filling;        /* NULL: off */
    int count;                      /* blocks of memory */
    pthread_t thread;
    pthread_mutex_t lock;           /* guards the two lists and ``stop`` */
    pthread_cond_t filled, freed;
    d43_tape_block *first, *last;   /* to be written, the oldest first */
    d43_tape_block *spare;
    int stop;
    int idle;                       /* the writer waits to be called; the lock guards it */
    int error;                      /* atomic: errno of the write that failed */
    int fd;
    uint64_t limit;                 /* hashes that are not above this one when spread are of the sample */
    uint64_t asked, kept;           /* atomic: hashes that came, and that were written */
    uint64_t bytes;                 /* of the file that are whole */
    uint64_t forks;
} d43_tape;

/* Spread the bits of a hash, so that its size tells by chance whether it is of a sample (the finalizer of Appleby's
 * MurmurHash3). */
static inline uint64_t d43_spread(uint64_t x) {
    x ^= x >> 33;
    x *= 0xFF51AFD7ED558CCDu;
    x ^= x >> 33;
    x *= 0xC4CEB9FE1A85EC53u;
    return x ^ x >> 33;
}

static int d43_tape_write(d43_tape *t, const char *p, size_t n) {
    while (n) {
        ssize_t done = write(t->fd, p, n);
        if (done < 0 && errno == EINTR) continue;
        if (done <= 0) return done < 0 ? errno : EIO;
        p += done;
        n -= (size_t)done;
    }
    return 0;
}

/* Write what a block holds of the sample; ``last`` marks the end of the recording. */
static void d43_tape_save(d43_tape *t, d43_tape_block *b, int last) {
    uint64_t asked = t->asked + b->count, sum = 0, i, kept = b->count;
    size_t size;
    int rc;
    if (t->error) return;
    if (t->limit != UINT64_MAX)
        for (i = kept = 0; i < b->count; i++) {
            b->hash[kept] = b->hash[i];
            kept += d43_spread(b->hash[i]) <= t->limit;
        }
    b->head[0] = kept << 32 | 0x42333444;       /* D43B */
    b->head[1] = asked;
    b->head[2] = (uint64_t)last;
    for (i = 0; i < 3; i++) sum += b->head[i] * (2 * i + 1);
    for (i = 0; i < kept; i++) sum += b->hash[i] * (2 * i + 7);
    b->head[3] = sum;
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    for (i = 0; i < D43_TAPE_HEAD; i++) b->head[i] = __builtin_bswap64(b->head[i]);
    for (i = 0; i < kept; i++) b->hash[i] = __builtin_bswap64(b->hash[i]);
#endif
    size = (D43_TAPE_HEAD + kept) * 8;
    rc = d43_tape_write(t, (const char *)b->head, size);
    if (rc) {
        if (ftruncate(t->fd, (off_t)t->bytes)) { /* a torn block at the end is recognised by its checksum */ }
        __atomic_store_n(&t->error, rc, __ATOMIC_RELEASE);
        return;
    }
    t->bytes += size;
    __atomic_store_n(&t->asked, asked, __ATOMIC_RELEASE);
    __atomic_store_n(&t->kept, t->kept + kept, __ATOMIC_RELEASE);
}

/* Wait a little for more, without being called: a thread that is woken by another is often put on its processor, and
 * takes from it the time that it is there to save. */
static void d43_tape_linger(d43_tape *t) {
    struct timespec due;
    clock_gettime(CLOCK_REALTIME, &due);
    due.tv_nsec += D43_TAPE_LINGER;
    if (due.tv_nsec >= 1000000000) { due.tv_sec++; due.tv_nsec -= 1000000000; }
    pthread_cond_timedwait(&t->filled, &t->lock, &due);
}

static void *d43_tape_run(void *argument) {
    d43_tape *t = argument;
    d43_tape_block *b;
    pthread_mutex_lock(&t->lock);
    for (;;) {
        if (t->first == NULL && !t->stop) d43_tape_linger(t);
        while (t->first == NULL && !t->stop) {
            t->idle = 1;
            pthread_cond_wait(&t->filled, &t->lock);
        }
        t->idle = 0;
        b = t->first;
        if (b == NULL) break;
        t->first = b->next;
        pthread_mutex_unlock(&t->lock);
        d43_tape_save(t, b, 0);
        pthread_mutex_lock(&t->lock);
        b->next = t->spare;
        t->spare = b;
        pthread_cond_signal(&t->freed);
    }
    pthread_mutex_unlock(&t->lock);
    return NULL;
}

static inline int d43_tape_fault(const d43_tape *t) { return __atomic_load_n(&t->error, __ATOMIC_ACQUIRE); }

/* Whether this process began it, and not the one that it was forked from. */
static inline int d43_tape_is_ours(const d43_tape *t) { return t->forks == d43_forks; }

/* Fill this block from now on. */
static inline void d43_tape_take(d43_tape *t, d43_tape_block *b) {
    t->filling = b;
    t->at = b == NULL ? NULL : b->hash;
    t->end = b == NULL ? NULL : b->hash + D43_TAPE_BLOCK;
}

/* Off: the block that was being filled, or NULL. */
static inline d43_tape_block *d43_tape_off(d43_tape *t) {
    d43_tape_block *b = t->filling;
    if (b != NULL) b->count = (uint64_t)(t->at - b->hash);
    d43_tape_take(t, NULL);
    return b;
}

/* Room for one more hash. 0: the tape is off, now or already. */
static int d43_tape_turn(d43_tape *t) {
    d43_tape_block *b = NULL;
    d43_tape_block *full = d43_tape_off(t);
    if (full == NULL) return 0;
    if (!d43_tape_is_ours(t) || __atomic_load_n(&t->error, __ATOMIC_ACQUIRE)) {
        free(full);
        return 0;
    }
    full->next = NULL;
    pthread_mutex_lock(&t->lock);
    if (t->first == NULL) t->first = full;
    else t->last->next = full;
    t->last = full;
    if (t->idle) pthread_cond_signal(&t->filled);
    if (t->spare == NULL && t->count < D43_TAPE_BLOCKS && (b = malloc(sizeof(d43_tape_block))) != NULL) t->count++;
    if (b == NULL) {
        if (t->spare == NULL) pthread_cond_signal(&t->filled);     /* it may linger */
        while (t->spare == NULL) pthread_cond_wait(&t->freed, &t->lock);
        b = t->spare;
        t->spare = b->next;
    }
    pthread_mutex_unlock(&t->lock);
    d43_tape_take(t, b);
    return 1;
}

/* Begin. The file is open and holds ``bytes`` bytes already. An errno, after which nothing is to be ended. All signals
 * are blocked in the thread: they are for threads that run Python. */
static int d43_tape_begin(d43_tape *t, int fd, uint64_t bytes, uint64_t limit) {
    d43_tape_block *b = malloc(sizeof(d43_tape_block));
    sigset_t all, before;
    int rc;
    if (b == NULL) return ENOMEM;
    memset(t, 0, sizeof(d43_tape));
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->filled, NULL);
    pthread_cond_init(&t->freed, NULL);
    t->fd = fd;
    t->bytes = bytes;
    t->limit = limit;
    t->forks = d43_forks;
    t->count = 1;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = pthread_create(&t->thread, NULL, d43_tape_run, t);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc) free(b);
    else d43_tape_take(t, b);
    return rc;
}

static void d43_tape_free(d43_tape_block *b) {
    d43_tape_block *next;
    for (; b != NULL; b = next) {
        next = b->next;
        free(b);
    }
}

/* End it: what was recorded is written, and the end is marked. Called once, by one thread, which has taken ``filling``
 * from d43_tape_off; needs no GIL. An errno. In the child of a fork nothing is written, and the lists of blocks, which
 * the parent's writer may have been changing at the fork, are left alone. */
static int d43_tape_end(d43_tape *t, d43_tape_block *filling) {
    int rc = 0;
    if (d43_tape_is_ours(t)) {
        pthread_mutex_lock(&t->lock);
        t->stop = 1;
        pthread_cond_signal(&t->filled);
        pthread_mutex_unlock(&t->lock);
        pthread_join(t->thread, NULL);
        if (filling != NULL) d43_tape_save(t, filling, 1);
        pthread_cond_destroy(&t->filled);
        pthread_cond_destroy(&t->freed);
        pthread_mutex_destroy(&t->lock);
        d43_tape_free(t->spare);
        flock(t->fd, LOCK_UN);      /* a child may hold the file open */
        rc = t->error;
    }
    free(filling);
    if (close(t->fd) && !rc) rc = errno;
    return rc;
}
#endif
