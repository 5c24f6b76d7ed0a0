/* Records, in order, what a process does to the files below one directory: for LD_PRELOAD.
 *
 * D43_ROOT is the directory, D43_LOG the file that the records are appended to; without them nothing is recorded.
 * Each record is a head and its data. A call and its record are made under one lock, so that the order of records is
 * that of the changes; a sync has a record when it begins and one when it has ended: other threads write meanwhile.
 * No sync reaches the kernel (the records say what would be on the disk), but it takes D43_SYNC_US microseconds.
 * D43_IGNORE names guards that are taken out, with commas: ``data.mdb``, ``unsynced-`` (syncs of files whose name
 * has it), ``dsync`` (descriptors that sync each write), ``/`` (syncs of directories). Such a sync is not recorded.
 * D43_FAIL is such a name, a colon and a number: that sync of such files fails, once, and is recorded as ``F``.
 * What the model of the disk does not know is recorded as ``Z``, whereupon the test fails.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define FILES 4096
#define NEXT(name) static __typeof__(&name) next; if (!next) next = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

typedef struct { uint32_t kind, id; int64_t at; uint64_t size; } head;

static pthread_mutex_t order = PTHREAD_MUTEX_INITIALIZER;
static int sink = -1;
static const char *root, *ignored = "", *failing;
static long failing_number, failing_seen;
static long sync_us;
static uint32_t number;             /* of the last open */
static int64_t syncs;               /* begun; the number of one stands in both of its records */
static struct { uint32_t id; int synced; char name[512]; } files[FILES];

__attribute__((constructor)) static void start(void) {
    const char *log = getenv("D43_LOG"), *us = getenv("D43_SYNC_US");
    sync_us = us ? atol(us) : 0;
    root = getenv("D43_ROOT");
    if (getenv("D43_IGNORE")) ignored = getenv("D43_IGNORE");
    failing = getenv("D43_FAIL");
    if (failing && strchr(failing, ':')) failing_number = atol(strchr(failing, ':') + 1);
    number = (uint32_t)getpid() << 12;
    if (!root || !log) { root = NULL; return; }
    int fd = open(log, O_WRONLY | O_APPEND | O_CREAT, 0644);
    sink = fcntl(fd, F_DUPFD_CLOEXEC, 1000);
    close(fd);
    if (sink < 0) abort();
}

/* REQUIRES: the lock is held. Keeps errno. */
static void record(char kind, uint32_t id, int64_t at, const void *data, size_t size) {
    static ssize_t (*next)(int, const struct iovec *, int);
    head h = {(uint32_t)kind, id, at, size};
    struct iovec parts[2] = {{&h, sizeof h}, {(void *)data, size}};
    int kept = errno;
    if (!next) next = (ssize_t (*)(int, const struct iovec *, int))dlsym(RTLD_NEXT, "writev");
    if (next(sink, parts, 2) != (ssize_t)(sizeof h + size)) abort();
    errno = kept;
}

static void unknown(const char *call) {
    if (!root) return;
    pthread_mutex_lock(&order);
    record('Z', 0, 0, call, strlen(call));
    pthread_mutex_unlock(&order);
}

/* The name below the root, or NULL. ``room`` holds it where it is told by a descriptor. */
static const char *below(int dir, const char *path, char *room) {
    size_t n = root ? strlen(root) : 0;
    if (!root || !path) return NULL;
    if (path[0] != '/') {
        if (dir < 0 || dir >= FILES || !files[dir].id) return NULL;
        snprintf(room, 1024, "%s%s%s", files[dir].name, files[dir].name[0] ? "/" : "", path);
        return room;
    }
    if (strncmp(path, root, n) || (path[n] && path[n] != '/')) return NULL;
    return path + n + (path[n] == '/');
}

static uint32_t watched(int fd) { return root && fd >= 0 && fd < FILES ? files[fd].id : 0; }

static int opened(int fd, const char *name, int flags) {
    if (!root || fd < 0) return fd;
    if (fd < FILES) files[fd].id = 0;
    if (!name || (flags & O_TMPFILE) == O_TMPFILE) return fd;
    if (fd >= FILES) abort();
    files[fd].id = ++number;
    files[fd].synced = (flags & (O_DSYNC | O_SYNC)) && !strstr(ignored, "dsync");
    snprintf(files[fd].name, sizeof files[fd].name, "%s", name);
    record('O', number, (flags & O_TRUNC ? 1 : 0) | (flags & O_DIRECTORY ? 2 : 0), name, strlen(name));
    return fd;
}

#define OPEN(name, parameters, call, dir) \
    int name parameters { \
        char room[1024]; \
        mode_t mode = 0; \
        NEXT(name); \
        if (flags & (O_CREAT | O_TMPFILE)) { \
            va_list more; \
            va_start(more, flags); \
            mode = va_arg(more, mode_t); \
            va_end(more); \
        } \
        pthread_mutex_lock(&order); \
        int fd = opened(call, below(dir, path, room), flags); \
        pthread_mutex_unlock(&order); \
        return fd; \
    }
OPEN(open, (const char *path, int flags, ...), next(path, flags, mode), -1)
OPEN(open64, (const char *path, int flags, ...), next(path, flags, mode), -1)
OPEN(openat, (int dir, const char *path, int flags, ...), next(dir, path, flags, mode), dir)
OPEN(openat64, (int dir, const char *path, int flags, ...), next(dir, path, flags, mode), dir)

int close(int fd) {
    NEXT(close);
    pthread_mutex_lock(&order);
    if (fd >= 0 && fd < FILES) files[fd].id = 0;
    int rc = next(fd);
    pthread_mutex_unlock(&order);
    return rc;
}

/* Where ``write`` writes to. */
static int64_t place(int fd) {
    struct stat st;
    if (fcntl(fd, F_GETFL) & O_APPEND) return fstat(fd, &st) ? 0 : st.st_size;
    return lseek(fd, 0, SEEK_CUR);
}

static ssize_t written(int fd, int64_t at, const void *data, ssize_t n) {
    if (n > 0) record(files[fd].synced ? 'S' : 'W', files[fd].id, at, data, (size_t)n);
    return n;
}

#define WRITE(name, parameters, call, where) \
    ssize_t name parameters { \
        NEXT(name); \
        if (!watched(fd)) return call; \
        pthread_mutex_lock(&order); \
        int64_t at = where; \
        ssize_t n = written(fd, at, data, call); \
        pthread_mutex_unlock(&order); \
        return n; \
    }
WRITE(write, (int fd, const void *data, size_t size), next(fd, data, size), place(fd))
WRITE(pwrite, (int fd, const void *data, size_t size, off_t place), next(fd, data, size, place), place)
WRITE(pwrite64, (int fd, const void *data, size_t size, off_t place), next(fd, data, size, place), place)

static ssize_t gathered(int fd, const struct iovec *parts, int count, int64_t at, ssize_t n) {
    ssize_t left = n;
    for (int i = 0; i < count && left > 0; i++) {
        ssize_t size = left < (ssize_t)parts[i].iov_len ? left : (ssize_t)parts[i].iov_len;
        written(fd, at, parts[i].iov_base, size);
        at += size;
        left -= size;
    }
    return n;
}

#define WRITEV(name, parameters, call, where) \
    ssize_t name parameters { \
        NEXT(name); \
        if (!watched(fd)) return call; \
        pthread_mutex_lock(&order); \
        int64_t at = where; \
        ssize_t n = gathered(fd, parts, count, at, call); \
        pthread_mutex_unlock(&order); \
        return n; \
    }
WRITEV(writev, (int fd, const struct iovec *parts, int count), next(fd, parts, count), place(fd))
WRITEV(pwritev, (int fd, const struct iovec *parts, int count, off_t place), next(fd, parts, count, place), place)
WRITEV(pwritev64, (int fd, const struct iovec *parts, int count, off_t place), next(fd, parts, count, place), place)

/* Whether the last part of a file's name, as it was opened, has these letters in it. */
static int called(int fd, const char *part, size_t n) {
    const char *last = strrchr(files[fd].name, '/');
    last = last ? last + 1 : files[fd].name;
    return n && memmem(last, strlen(last), part, n);
}

/* Whether that sync is a guard that is taken out. */
static int taken_out(int fd, int directory) {
    for (const char *one = ignored; *one; one += strcspn(one, ","), one += *one == ',') {
        size_t n = strcspn(one, ",");
        if (directory ? *one == '/' : called(fd, one, n)) return 1;
    }
    return 0;
}

/* Whether this sync is the one that fails. REQUIRES: the lock is held. */
static int sync_fails(int fd) {
    return failing_number && called(fd, failing, strcspn(failing, ":")) && ++failing_seen == failing_number;
}

#define SYNC(function) \
    int function(int fd) { \
        NEXT(function); \
        uint32_t id = watched(fd); \
        struct timespec rest = {0, sync_us * 1000}; \
        struct stat st; \
        if (!root) return 0; \
        if (!id) return next(fd); \
        if (fstat(fd, &st)) return -1; \
        if (taken_out(fd, S_ISDIR(st.st_mode))) return 0; \
        pthread_mutex_lock(&order); \
        int64_t which = ++syncs; \
        if (sync_fails(fd)) { \
            record('F', id, which, NULL, 0); \
            pthread_mutex_unlock(&order); \
            errno = EIO; \
            return -1; \
        } \
        record('B', id, which, NULL, 0); \
        pthread_mutex_unlock(&order); \
        nanosleep(&rest, NULL); \
        pthread_mutex_lock(&order); \
        record('E', id, which, NULL, 0); \
        pthread_mutex_unlock(&order); \
        return 0; \
    }
SYNC(fsync)
SYNC(fdatasync)

static const char *named(int fd, char *room) {
    room[0] = 0;
    return watched(fd) ? files[fd].name : NULL;
}

#define CHANGE(function, parameters, call, path_of, kind, at, id) \
    int function parameters { \
        char room[1024]; \
        NEXT(function); \
        const char *where = path_of; \
        if (!where) return call; \
        pthread_mutex_lock(&order); \
        int rc = call; \
        if (rc == 0) record(kind, id, at, where, strlen(where)); \
        pthread_mutex_unlock(&order); \
        return rc; \
    }
CHANGE(ftruncate, (int fd, off_t size), next(fd, size), named(fd, room), 'T', size, files[fd].id)
CHANGE(ftruncate64, (int fd, off_t size), next(fd, size), named(fd, room), 'T', size, files[fd].id)
CHANGE(truncate, (const char *path, off_t size), next(path, size), below(-1, path, room), 'T', size, 0)
CHANGE(truncate64, (const char *path, off_t size), next(path, size), below(-1, path, room), 'T', size, 0)
CHANGE(unlink, (const char *path), next(path), below(-1, path, room), 'U', 0, 0)
CHANGE(unlinkat, (int dir, const char *path, int flags), next(dir, path, flags), below(dir, path, room), 'U', 0, 0)
CHANGE(rmdir, (const char *path), next(path), below(-1, path, room), 'U', 0, 0)
CHANGE(mkdir, (const char *path, mode_t mode), next(path, mode), below(-1, path, room), 'M', 0, 0)

int rename(const char *from, const char *to) {
    char room[1024], other[1024], both[2048];
    NEXT(rename);
    const char *source = below(-1, from, room), *target = below(-1, to, other);
    if (!source != !target) unknown("rename across the root");
    if (!source || !target) return next(from, to);
    size_t n = strlen(source) + 1;
    memcpy(both, source, n);
    memcpy(both + n, target, strlen(target));
    pthread_mutex_lock(&order);
    int rc = next(from, to);
    if (rc == 0) record('R', 0, 0, both, n + strlen(target));
    pthread_mutex_unlock(&order);
    return rc;
}

/* The lock file and the marks of flights alone may be written to by a map: nothing of them outlives the processes. */
static void mapped(int fd, int protection, int flags) {
    if ((flags & MAP_SHARED) && (protection & PROT_WRITE) && watched(fd)) {
        size_t n = strlen(files[fd].name);
        if ((n < 8 || strcmp(files[fd].name + n - 8, "lock.mdb")) &&
            (n < 7 || strcmp(files[fd].name + n - 7, "flights"))) unknown("a map that can be written to");
    }
}

#define MAP(name) \
    void *name(void *at, size_t size, int protection, int flags, int fd, off_t offset) { \
        NEXT(name); \
        mapped(fd, protection, flags); \
        return next(at, size, protection, flags, fd, offset); \
    }
MAP(mmap)
MAP(mmap64)

#define REFUSED(type, name, parameters, call, fd) \
    type name parameters { \
        NEXT(name); \
        if (watched(fd)) unknown(#name); \
        return call; \
    }
REFUSED(int, posix_fallocate, (int fd, off_t at, off_t size), next(fd, at, size), fd)
REFUSED(int, posix_fallocate64, (int fd, off_t at, off_t size), next(fd, at, size), fd)
REFUSED(int, fallocate, (int fd, int mode, off_t at, off_t size), next(fd, mode, at, size), fd)
REFUSED(int, sync_file_range, (int fd, off64_t at, off64_t size, unsigned flags), next(fd, at, size, flags), fd)
REFUSED(ssize_t, sendfile64, (int fd, int from, off_t *at, size_t size), next(fd, from, at, size), fd)
REFUSED(ssize_t, copy_file_range, (int from, off64_t *a, int fd, off64_t *b, size_t size, unsigned flags),
        next(from, a, fd, b, size, flags), fd)
REFUSED(int, linkat, (int fd, const char *from, int to, const char *path, int flags),
        next(fd, from, to, path, flags), fd)

/* A word of the process about itself, in order with what it does: called through ctypes. */
void d43_note(const char *words) {
    pthread_mutex_lock(&order);
    record('N', 0, 0, words, strlen(words));
    pthread_mutex_unlock(&order);
}
