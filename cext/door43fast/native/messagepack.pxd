"""Values as MessagePack, and the strict walk that keeps what it would change."""

cdef enum:
    DEEPEST = 200               # containers within containers that are taken

cdef object refused(value, str codec)           # an Unfit that says which type is not stored
cdef object damaged(str what, error)            # a CorruptError
cdef bint is_array(value)
cdef bint is_word(value)
cdef str checked_text(str text)
cdef bytes array_bytes(value)
cdef bytes to_msgpack(value)
cdef object from_msgpack(payload)
