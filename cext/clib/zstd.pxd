"""Zstandard: the part of <zstd.h> that the engine uses. Declarations only."""

cdef extern from "<zstd.h>" nogil:
    ctypedef struct ZSTD_CCtx
    ctypedef struct ZSTD_DCtx

    enum:
        ZSTD_CONTENTSIZE_UNKNOWN
        ZSTD_CONTENTSIZE_ERROR

    ZSTD_CCtx* ZSTD_createCCtx()
    size_t ZSTD_freeCCtx(ZSTD_CCtx* context)
    ZSTD_DCtx* ZSTD_createDCtx()
    size_t ZSTD_freeDCtx(ZSTD_DCtx* context)

    size_t ZSTD_compressBound(size_t size)
    size_t ZSTD_compressCCtx(ZSTD_CCtx* context, void* dst, size_t capacity, const void* src, size_t size, int level)
    size_t ZSTD_decompressDCtx(ZSTD_DCtx* context, void* dst, size_t capacity, const void* src, size_t size)
    unsigned long long ZSTD_getFrameContentSize(const void* src, size_t size)
    unsigned int ZSTD_isError(size_t code)
    unsigned int ZSTD_versionNumber()
