/* How often this process image was forked: a number that differs between a parent and its child. */
#ifndef D43_FORK_H
#define D43_FORK_H
#include <pthread.h>
#include <stdint.h>

static volatile uint64_t d43_forks = 1;
static void d43_forked(void) { d43_forks++; }
static inline int d43_fork_watch(void) { return pthread_atfork(NULL, NULL, d43_forked); }
#endif
