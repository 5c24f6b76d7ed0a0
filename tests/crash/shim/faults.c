/* Makes calls fail, the n-th of a kind: for LD_PRELOAD.
 *
 * d43_arm says which; d43_fired whether it came to that. Calls that concern a file count if it is below D43_ROOT,
 * whoever makes them; those that ask for memory count if LMDB or a native module of ours makes them.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

enum { WRITE = 1, SYNC, TRUNCATE, OPEN, RENAME, UNLINK, MAP, ALLOCATE };
/* How: the n-th alone; all from the n-th on; the n-th writes half of it; the n-th writes nothing and says it did. */
enum { ONCE, ALWAYS, SHORT, LIE };
#define RANGES 256
#define NEXT(name) static __typeof__(&name) next; if (!next) next = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

static int armed, how, error;
static long number, seen, fired;
static struct { uintptr_t from, to; } ranges[RANGES];
static int range_count;

static int note_ranges(struct dl_phdr_info *info, size_t size, void *nothing) {
    (void)size, (void)nothing;
    if (!strstr(info->dlpi_name, "liblmdb") && !strstr(info->dlpi_name, "door43fast/native/")) return 0;
    for (int i = 0; i < info->dlpi_phnum && range_count < RANGES; i++)
        if (info->dlpi_phdr[i].p_type == PT_LOAD && info->dlpi_phdr[i].p_flags & PF_X) {
            ranges[range_count].from = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
            ranges[range_count++].to = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr + info->dlpi_phdr[i].p_memsz;
        }
    return 0;
}

void d43_arm(int kind, long n, int way, int code) {
    armed = 0;
    range_count = 0;
    dl_iterate_phdr(note_ranges, NULL);
    how = way;
    error = code;
    number = n;
    seen = fired = 0;
    __atomic_store_n(&armed, kind, __ATOMIC_SEQ_CST);
}

long d43_fired(void) { return fired; }

static int ours(const void *caller) {
    for (int i = 0; i < range_count; i++)
        if ((uintptr_t)caller >= ranges[i].from && (uintptr_t)caller < ranges[i].to) return 1;
    return 0;
}

static int below(const char *path) {
    const char *root = getenv("D43_ROOT");
    return root && path && !strncmp(path, root, strlen(root));
}

static int below_fd(int fd) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    int kept = errno;
    ssize_t n = readlink(link, path, sizeof path - 1);
    errno = kept;
    if (n <= 0) return 0;
    path[n] = 0;
    return below(path);
}

/* Whether this call, which counts, is to fail. */
static int fails(void) {
    long n = __atomic_add_fetch(&seen, 1, __ATOMIC_SEQ_CST);
    if (how == ALWAYS ? n < number : n != number) return 0;
    __atomic_add_fetch(&fired, 1, __ATOMIC_SEQ_CST);
    errno = error;
    return 1;
}

#define FAILING(type, name, parameters, call, kind, counts, failed) \
    type name parameters { \
        NEXT(name); \
        if (armed == (kind) && (counts) && fails()) return failed; \
        return call; \
    }
FAILING(int, fsync, (int fd), next(fd), SYNC, below_fd(fd), -1)
FAILING(int, fdatasync, (int fd), next(fd), SYNC, below_fd(fd), -1)
FAILING(int, ftruncate, (int fd, off_t size), next(fd, size), TRUNCATE, below_fd(fd), -1)
FAILING(int, ftruncate64, (int fd, off_t size), next(fd, size), TRUNCATE, below_fd(fd), -1)
FAILING(int, truncate, (const char *path, off_t size), next(path, size), TRUNCATE, below(path), -1)
FAILING(int, truncate64, (const char *path, off_t size), next(path, size), TRUNCATE, below(path), -1)
FAILING(int, rename, (const char *path, const char *to), next(path, to), RENAME, below(path), -1)
FAILING(int, unlink, (const char *path), next(path), UNLINK, below(path), -1)
FAILING(ssize_t, write, (int fd, const void *data, size_t size), next(fd, data, size), WRITE, below_fd(fd),
        how == SHORT ? next(fd, data, size / 2) : how == LIE ? (ssize_t)size : -1)
FAILING(ssize_t, pwrite, (int fd, const void *data, size_t size, off_t at), next(fd, data, size, at), WRITE,
        below_fd(fd), how == SHORT ? next(fd, data, size / 2, at) : how == LIE ? (ssize_t)size : -1)
FAILING(ssize_t, pwrite64, (int fd, const void *data, size_t size, off_t at), next(fd, data, size, at), WRITE,
        below_fd(fd), how == SHORT ? next(fd, data, size / 2, at) : how == LIE ? (ssize_t)size : -1)
FAILING(ssize_t, writev, (int fd, const struct iovec *parts, int count), next(fd, parts, count), WRITE, below_fd(fd),
        how == SHORT ? next(fd, parts, (count + 1) / 2) : -1)
FAILING(void *, mmap, (void *at, size_t size, int protection, int flags, int fd, off_t offset),
        next(at, size, protection, flags, fd, offset), MAP, ours(__builtin_return_address(0)), MAP_FAILED)
FAILING(void *, malloc, (size_t size), next(size), ALLOCATE, ours(__builtin_return_address(0)), NULL)
FAILING(void *, realloc, (void *old, size_t size), next(old, size), ALLOCATE, ours(__builtin_return_address(0)), NULL)

/* dlsym itself asks for memory this way: what it gets before the next one is known is never given back. */
void *calloc(size_t count, size_t size) {
    static void *(*next)(size_t, size_t);
    static char room[4096];
    static size_t used;
    static int asking;
    if (!next) {
        if (asking) {
            size_t n = (count * size + 15) & ~(size_t)15;
            if (used + n > sizeof room) abort();
            used += n;
            return room + used - n;
        }
        asking = 1;
        next = (void *(*)(size_t, size_t))dlsym(RTLD_NEXT, "calloc");
    }
    if (armed == ALLOCATE && ours(__builtin_return_address(0)) && fails()) return NULL;
    return next(count, size);
}

#define OPENING(name, parameters, call, path) \
    int name parameters { \
        mode_t mode = 0; \
        NEXT(name); \
        if (flags & (O_CREAT | O_TMPFILE)) { \
            va_list more; \
            va_start(more, flags); \
            mode = va_arg(more, mode_t); \
            va_end(more); \
        } \
        if (armed == OPEN && below(path) && fails()) return -1; \
        return call; \
    }
OPENING(open, (const char *path, int flags, ...), next(path, flags, mode), path)
OPENING(open64, (const char *path, int flags, ...), next(path, flags, mode), path)
