/* Lets a thread stop just behind its next unlock of LMDB's lock for writers: of the two mutexes in its file of locks,
 * which processes share, the one that is not in the first line of the page.
 *
 * The thread calls d43_stop_behind(told, wait); then a byte is written to ``told`` when the mutex is free, and the
 * thread goes on when it has read one from ``wait``. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <unistd.h>

#define SHARED 0x80     /* of glibc's kinds of mutexes */
#define PAGE 4096
#define LINE 64

static __thread int armed, told_fd, wait_fd;

void d43_stop_behind(int told, int wait) {
    told_fd = told;
    wait_fd = wait;
    armed = 1;
}

int pthread_mutex_unlock(pthread_mutex_t *mutex) {
    static int (*real)(pthread_mutex_t *);
    int stops = armed && (mutex->__data.__kind & SHARED) && (uintptr_t)mutex % PAGE >= LINE, rc;
    char byte = 1;
    if (!real) *(void **)&real = dlsym(RTLD_NEXT, "pthread_mutex_unlock");
    rc = real(mutex);
    if (stops) {
        armed = 0;
        if (write(told_fd, &byte, 1) == 1 && read(wait_fd, &byte, 1) == 1) return rc;
    }
    return rc;
}
