/* A line of jobs: whoever finds nobody at work does all that stand in line, the others wait until theirs is done.
 *
 * A waiter lives on the stack of its thread, and others touch it only while that thread waits.
 */
#ifndef D43_LINE_H
#define D43_LINE_H
#include <pthread.h>

typedef struct d43_waiter {
    struct d43_waiter *next;
    int done;
    int rc;                 /* of its job */
} d43_waiter;

typedef struct {
    pthread_mutex_t lock;
    pthread_cond_t over;
    d43_waiter *first, *last;
    int led;                /* somebody is at work */
} d43_line;

static inline void d43_line_init(d43_line *line) {
    pthread_mutex_init(&line->lock, NULL);
    pthread_cond_init(&line->over, NULL);
    line->first = line->last = NULL;
    line->led = 0;
}

/* Stand in line. NULL once the job of ``w`` was done by another thread; else all that stand in line, the first first,
 * for the caller to do, w among them. Then it calls d43_line_leave. */
static inline d43_waiter *d43_line_join(d43_line *line, d43_waiter *w) {
    d43_waiter *all = NULL;
    w->next = NULL;
    w->done = 0;
    pthread_mutex_lock(&line->lock);
    if (line->first) line->last->next = w;
    else line->first = w;
    line->last = w;
    while (!w->done && line->led) pthread_cond_wait(&line->over, &line->lock);
    if (!w->done) {
        all = line->first;
        line->first = line->last = NULL;
        line->led = 1;
    }
    pthread_mutex_unlock(&line->lock);
    return all;
}

static inline void d43_line_leave(d43_line *line, d43_waiter *all) {
    d43_waiter *next;
    pthread_mutex_lock(&line->lock);
    for (; all; all = next) {
        next = all->next;
        all->done = 1;
    }
    line->led = 0;
    pthread_cond_broadcast(&line->over);
    pthread_mutex_unlock(&line->lock);
}
#endif
