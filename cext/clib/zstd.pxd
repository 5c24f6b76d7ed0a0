"""Zstandard: the part of <zstd.h> and <zdict.h> that the engine uses. Declarations only."""

cdef extern from "<zstd.h>" nogil:
    ctypedef struct ZSTD_CCtx
    ctypedef struct ZSTD_DCtx
    ctypedef struct ZSTD_CDict      # a dictionary, made ready for one level of compression
    ctypedef struct ZSTD_DDict      # a dictionary, made ready for decompression

    ctypedef enum ZSTD_cParameter:
        ZSTD_c_compressionLevel
        ZSTD_c_dictIDFlag

    enum:
        ZSTD_CONTENTSIZE_UNKNOWN
        ZSTD_CONTENTSIZE_ERROR

    ZSTD_CCtx* ZSTD_createCCtx()
    size_t ZSTD_freeCCtx(ZSTD_CCtx* context)
    ZSTD_DCtx* ZSTD_createDCtx()
    size_t ZSTD_freeDCtx(ZSTD_DCtx* context)

    size_t ZSTD_compressBound(size_t size)
    size_t ZSTD_CCtx_setParameter(ZSTD_CCtx* context, ZSTD_cParameter parameter, int value)
    size_t ZSTD_CCtx_refCDict(ZSTD_CCtx* context, const ZSTD_CDict* dictionary)     # NULL for none
    size_t ZSTD_compress2(ZSTD_CCtx* context, void* dst, size_t capacity, const void* src, size_t size)
    size_t ZSTD_decompress_usingDDict(ZSTD_DCtx* context, void* dst, size_t capacity, const void* src, size_t size,
                                      const ZSTD_DDict* dictionary)                 # NULL for none

    ZSTD_CDict* ZSTD_createCDict(const void* data, size_t size, int level)
    size_t ZSTD_freeCDict(ZSTD_CDict* dictionary)
    ZSTD_DDict* ZSTD_createDDict(const void* data, size_t size)
    size_t ZSTD_freeDDict(ZSTD_DDict* dictionary)

    unsigned long long ZSTD_getFrameContentSize(const void* src, size_t size)
    unsigned int ZSTD_isError(size_t code)
    unsigned int ZSTD_versionNumber()

cdef extern from "<zdict.h>" nogil:
    # The samples lie end to end in ``samples``, each ``sizes[i]`` bytes long. Returns how long the dictionary became.
    size_t ZDICT_trainFromBuffer(void* out, size_t capacity, const void* samples, const size_t* sizes,
                                 unsigned int count)
    unsigned int ZDICT_isError(size_t code)
    const char* ZDICT_getErrorName(size_t code)
