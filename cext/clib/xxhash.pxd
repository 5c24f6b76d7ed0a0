"""xxHash: XXH3, compiled in from its header. Declarations only."""

from libc.stdint cimport uint64_t

cdef extern from *:
    """
    #ifndef XXH_INLINE_ALL
    #define XXH_INLINE_ALL
    #endif
    #include <xxhash.h>
    """

cdef extern from "<xxhash.h>" nogil:
    ctypedef uint64_t XXH64_hash_t
    ctypedef struct XXH128_hash_t:
        XXH64_hash_t low64
        XXH64_hash_t high64
    ctypedef struct XXH128_canonical_t:
        unsigned char digest[16]

    XXH64_hash_t XXH3_64bits(const void* data, size_t size)
    XXH64_hash_t XXH3_64bits_withSeed(const void* data, size_t size, XXH64_hash_t seed)
    XXH128_hash_t XXH3_128bits(const void* data, size_t size)
    XXH128_hash_t XXH3_128bits_withSeed(const void* data, size_t size, XXH64_hash_t seed)
    void XXH128_canonicalFromHash(XXH128_canonical_t* dst, XXH128_hash_t hash)
    unsigned int XXH_versionNumber()
