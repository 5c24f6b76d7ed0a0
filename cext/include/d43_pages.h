/* Memory for the core's tables: zeroed, and on huge pages where it is large and the system grants them. */
#ifndef D43_PAGES_H
#define D43_PAGES_H
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define D43_HUGE ((size_t)2 << 20)

#if defined(__GNUC__)
#define d43_prefetch(p) __builtin_prefetch((p), 0, 3)
#else
#define d43_prefetch(p) ((void)(p))
#endif

#if defined(__linux__)
#include <sys/mman.h>
/* Blocks of 2 MiB and more are mapped on a 2 MiB boundary, so that a huge page can stand under them, and go back
 * to the system at once when they are freed. The kernel hands the pages out as they are first touched. */
static inline void *d43_pages_alloc(size_t size) {
    if (size < D43_HUGE) return calloc(1, size);
    size = (size + D43_HUGE - 1) & ~(D43_HUGE - 1);
    char *raw = (char *)mmap(NULL, size + D43_HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (raw == (char *)MAP_FAILED) return NULL;
    char *start = (char *)(((uintptr_t)raw + D43_HUGE - 1) & ~(uintptr_t)(D43_HUGE - 1));
    if (start > raw) munmap(raw, (size_t)(start - raw));
    size_t tail = (size_t)(raw + size + D43_HUGE - (start + size));
    if (tail) munmap(start + size, tail);
    madvise(start, size, MADV_HUGEPAGE);
    return start;
}
static inline void d43_pages_free(void *p, size_t size) {
    if (!p) return;
    if (size < D43_HUGE) free(p);
    else munmap(p, (size + D43_HUGE - 1) & ~(D43_HUGE - 1));
}
#else
static inline void *d43_pages_alloc(size_t size) { return calloc(1, size); }
static inline void d43_pages_free(void *p, size_t size) { (void)size; free(p); }
#endif
#endif
