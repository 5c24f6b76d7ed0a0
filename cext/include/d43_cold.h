/* What this thread has had to wait for from the disk, and asking for pages of a mapped file before they are needed. */
#ifndef D43_COLD_H
#define D43_COLD_H
#include <stddef.h>
#include <stdint.h>

#if defined(__linux__)
#include <sys/mman.h>
#include <sys/resource.h>
#ifndef RUSAGE_THREAD   /* glibc shows it only to those who define _GNU_SOURCE before the first header */
#define RUSAGE_THREAD 1
#endif
/* Page faults that waited for a read, and blocks read, since the thread began. */
static inline void d43_cold_counts(int64_t *faults, int64_t *blocks) {
    struct rusage used;
    if (getrusage((__typeof__(RUSAGE_SELF))RUSAGE_THREAD, &used)) { *faults = *blocks = 0; return; }
    *faults = used.ru_majflt;
    *blocks = used.ru_inblock;
}
static inline void d43_cold_ask(const void *at, size_t size) { madvise((void *)(uintptr_t)at, size, MADV_WILLNEED); }
#else
static inline void d43_cold_counts(int64_t *faults, int64_t *blocks) { *faults = *blocks = 0; }
static inline void d43_cold_ask(const void *at, size_t size) { (void)at, (void)size; }
#endif
#endif
