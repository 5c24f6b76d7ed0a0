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
#define D43_MAPPED ((size_t)64 << 10)
/* Small blocks come from the heap, at the start of a cache line. From 64 KiB on they are mapped, so that the kernel
 * zeroes each page as it is first touched and takes all of them back at once when they are freed. Blocks of 2 MiB and
 * more stand on a 2 MiB boundary, so that a huge page can stand under them. */
static inline size_t d43_pages_size(size_t size) {
    size_t grain = size < D43_HUGE ? (size_t)4096 : D43_HUGE;
    return (size + grain - 1) & ~(grain - 1);
}
static inline void *d43_pages_alloc(size_t size) {
    if (size < D43_MAPPED) {
        void *p;
        if (posix_memalign(&p, 64, size)) return NULL;
        return memset(p, 0, size);
    }
    size = d43_pages_size(size);
    size_t spare = size < D43_HUGE ? 0 : D43_HUGE;
    char *raw = (char *)mmap(NULL, size + spare, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (raw == (char *)MAP_FAILED) return NULL;
    if (!spare) return raw;
    char *start = (char *)(((uintptr_t)raw + D43_HUGE - 1) & ~(uintptr_t)(D43_HUGE - 1));
    if (start > raw) munmap(raw, (size_t)(start - raw));
    size_t tail = (size_t)(raw + size + D43_HUGE - (start + size));
    if (tail) munmap(start + size, tail);
    madvise(start, size, MADV_HUGEPAGE);
    return start;
}
static inline void d43_pages_free(void *p, size_t size) {
    if (!p) return;
    if (size < D43_MAPPED) free(p);
    else munmap(p, d43_pages_size(size));
}
#else
static inline void *d43_pages_alloc(size_t size) { return calloc(1, size); }
static inline void d43_pages_free(void *p, size_t size) { (void)size; free(p); }
#endif

/* Give the free parts of the C heap back to the system: where many objects were freed among others that stay, free()
 * alone keeps them. */
#if defined(__GLIBC__)
#include <malloc.h>
static inline void d43_pages_trim(void) { malloc_trim(0); }
#else
static inline void d43_pages_trim(void) {}
#endif
#endif
