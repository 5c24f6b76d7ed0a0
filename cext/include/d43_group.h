/* A group of the key index: twelve places in one line of the cache, all of whose tags are compared at once. */
#ifndef D43_GROUP_H
#define D43_GROUP_H
#include <stdint.h>
#include <string.h>

#define D43_PLACES 12

typedef struct {
    uint8_t tag[D43_PLACES];    /* 0: the place is empty */
    uint32_t over;              /* entries that found this group full on their way to a later one */
    uint32_t ref[D43_PLACES];
} d43_group;

/* The tag of a hash: its low byte, but never 0. The group is chosen by the high bits. */
static inline uint32_t d43_tag(uint32_t hash) {
    uint32_t tag = hash & 0xFF;
    return tag + (tag == 0);
}

#if defined(__SSE2__) || defined(_M_X64)
#include <emmintrin.h>
/* The places that hold ``tag``, a bit for each. */
static inline uint32_t d43_match(const d43_group *g, uint32_t tag) {
    __m128i tags = _mm_loadu_si128((const __m128i *)(const void *)g);
    return (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(tags, _mm_set1_epi8((char)tag))) & 0xFFFu;
}
#else
static inline uint32_t d43_match(const d43_group *g, uint32_t tag) {
    uint32_t bits = 0;
    for (int i = 0; i < D43_PLACES; i++) bits |= (uint32_t)(g->tag[i] == tag) << i;
    return bits;
}
#endif

/* The first of some places. REQUIRES: there is one. */
static inline uint32_t d43_first(uint32_t bits) {
#if defined(__GNUC__)
    return (uint32_t)__builtin_ctz(bits);
#else
    uint32_t n = 0;
    while (!(bits >> n & 1)) n++;
    return n;
#endif
}
#endif
