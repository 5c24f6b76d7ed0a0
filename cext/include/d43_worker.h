/* A thread that does one job at an interval while there is something to do: the background sync of a store.
 *
 * ``dirty`` is set by whoever made work; ``job`` runs with ``turn`` held, from the thread or from d43_worker_now, so
 * that two never run at once. A failed job leaves its error code for the next caller to see, and the work undone.
 * ``inside`` tells the job whether its caller is inside the gate of the store. A job that cannot enter it says
 * D43_LATER, which is no failure: the thread comes back.
 */
#ifndef D43_WORKER_H
#define D43_WORKER_H
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>

#define D43_LATER (-11)

typedef struct {
    pthread_t thread;
    pthread_mutex_t lock;   /* guards stop */
    pthread_mutex_t turn;   /* held while the job runs */
    pthread_cond_t wake;
    int64_t interval;       /* nanoseconds */
    int running, stop;
    int urgent;             /* there is something to do before the interval is over; guarded by lock */
    int dirty, error;       /* atomic */
    int (*job)(void *, int inside);
    int (*due)(void *);     /* whether there is something to do though nobody said so */
    void *argument;
} d43_worker;

static inline int d43_worker_now(d43_worker *w, int inside) {
    int rc = 0;
    pthread_mutex_lock(&w->turn);
    if (__atomic_exchange_n(&w->dirty, 0, __ATOMIC_ACQ_REL)) {
        rc = w->job(w->argument, inside);
        if (rc) __atomic_store_n(&w->dirty, 1, __ATOMIC_RELEASE);
        __atomic_store_n(&w->error, rc == D43_LATER ? 0 : rc, __ATOMIC_RELEASE);
    }
    pthread_mutex_unlock(&w->turn);
    return rc;
}

static void *d43_worker_run(void *argument) {
    d43_worker *w = argument;
    struct timespec due;
    pthread_mutex_lock(&w->lock);
    while (!w->stop) {
        clock_gettime(CLOCK_REALTIME, &due);
        due.tv_sec += (time_t)(w->interval / 1000000000);
        due.tv_nsec += (long)(w->interval % 1000000000);
        if (due.tv_nsec >= 1000000000) { due.tv_sec++; due.tv_nsec -= 1000000000; }
        if (!w->urgent) pthread_cond_timedwait(&w->wake, &w->lock, &due);
        w->urgent = 0;
        if (w->stop) break;
        pthread_mutex_unlock(&w->lock);
        if (w->due(w->argument)) __atomic_store_n(&w->dirty, 1, __ATOMIC_RELEASE);
        d43_worker_now(w, 0);
        pthread_mutex_lock(&w->lock);
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

static inline void d43_worker_init(d43_worker *w, int (*job)(void *, int), int (*due)(void *),
                                   void *argument) {
    pthread_mutex_init(&w->lock, NULL);
    pthread_mutex_init(&w->turn, NULL);
    pthread_cond_init(&w->wake, NULL);
    w->running = w->stop = w->urgent = w->dirty = w->error = 0;
    w->job = job;
    w->due = due;
    w->argument = argument;
}

/* All signals are blocked in the thread: they are for threads that run Python. */
static inline int d43_worker_start(d43_worker *w, int64_t interval) {
    sigset_t all, before;
    int rc;
    w->interval = interval;
    w->stop = 0;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = pthread_create(&w->thread, NULL, d43_worker_run, w);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    w->running = rc == 0;
    return rc;
}

static inline void d43_worker_stop(d43_worker *w) {
    if (!w->running) return;
    pthread_mutex_lock(&w->lock);
    w->stop = 1;
    pthread_cond_broadcast(&w->wake);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->thread, NULL);
    w->running = 0;
}

static inline int d43_worker_error(d43_worker *w) { return __atomic_load_n(&w->error, __ATOMIC_ACQUIRE); }
static inline void d43_worker_touch(d43_worker *w) { __atomic_store_n(&w->dirty, 1, __ATOMIC_RELEASE); }

/* Have the thread do its job now. */
static inline void d43_worker_wake(d43_worker *w) {
    d43_worker_touch(w);
    pthread_mutex_lock(&w->lock);
    w->urgent = 1;
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
}

static inline int d43_worker_dirty(d43_worker *w) { return __atomic_load_n(&w->dirty, __ATOMIC_ACQUIRE); }

static inline int d43_sync_file(int fd) {
#if defined(__APPLE__)
    return fcntl(fd, F_FULLFSYNC) == -1 ? errno : 0;
#else
    return fdatasync(fd) == -1 ? errno : 0;
#endif
}
#endif
