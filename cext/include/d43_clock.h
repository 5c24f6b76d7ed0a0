/* The clocks of the core, in nanoseconds. The coarse clocks are read without a system call and step by one
 * kernel tick (4 ms at 250 Hz), which is within the resolution that the stores promise. */
#ifndef D43_CLOCK_H
#define D43_CLOCK_H
#include <stdint.h>

#if defined(_WIN32)
#include <windows.h>
static inline int64_t d43_monotonic_ns(void) { return (int64_t)GetTickCount64() * 1000000; }
static inline int64_t d43_wall_ns(void) {
    FILETIME t;
    GetSystemTimeAsFileTime(&t);
    return ((int64_t)(((uint64_t)t.dwHighDateTime << 32) | t.dwLowDateTime) - 116444736000000000LL) * 100;
}
#else
#include <time.h>
#if defined(CLOCK_MONOTONIC_COARSE)
#define D43_MONOTONIC CLOCK_MONOTONIC_COARSE
#define D43_WALL CLOCK_REALTIME_COARSE
#else
#define D43_MONOTONIC CLOCK_MONOTONIC
#define D43_WALL CLOCK_REALTIME
#endif
static inline int64_t d43_clock_ns(clockid_t id) {
    struct timespec t;
    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}
static inline int64_t d43_monotonic_ns(void) { return d43_clock_ns(D43_MONOTONIC); }
static inline int64_t d43_wall_ns(void) { return d43_clock_ns(D43_WALL); }
#endif
#endif
