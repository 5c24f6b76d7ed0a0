"""Keys of ``keys="any"``: the order-preserving encoding of FoundationDB's tuple layer."""

cdef bytes pack_key(key)
cdef bytes pack_prefix(p)
cdef object unpack_key(bytes data)
