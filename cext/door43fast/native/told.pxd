"""The tags of records before and after their change, for those who listen by tag. Copied under the writer lock."""

from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.object cimport PyObject
from libc.errno cimport ENOMEM
from libc.stdint cimport uint32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from door43fast.native.frame cimport Draft, Frame, HAS_TAGS, Slice, TAG_HASH, TAG_SIZE
from door43fast.native.labels cimport Labels, labels_add, labels_new


cdef inline void told_free(Slice* tags) noexcept nogil:
    free(<void*>tags.data)
    tags.data = NULL
    tags.size = 0


cdef inline int told_tags(const Frame* old, const Draft* new, Slice* out) noexcept nogil:
    """Copy the hashes of the tags of ``old`` and ``new``, NULL for none, in place of what is in ``out``. A status."""
    cdef uint32_t first = 0 if old == NULL or not old.flags & HAS_TAGS else old.tag_count
    cdef uint32_t second = 0 if new == NULL else new.tag_count
    cdef size_t step
    cdef uint32_t i
    cdef char* at
    told_free(out)
    if first + second == 0:
        return 0
    at = <char*>malloc((first + second) * TAG_HASH)
    if at == NULL:
        return ENOMEM
    out.data = at
    out.size = (first + second) * TAG_HASH
    for i in range(first):
        memcpy(at, old.tags + i * TAG_SIZE, TAG_HASH)
        at += TAG_HASH
    if second:
        step = TAG_SIZE if new.settled else TAG_HASH
        for i in range(second):
            memcpy(at, new.tags + i * step, TAG_HASH)
            at += TAG_HASH
    return 0


cdef inline Labels* told_labels(const Slice* tags) except? NULL:
    """The same as a queue of events takes them; NULL for none. May run Python code."""
    cdef Labels* labels
    cdef list hashes
    cdef size_t at
    if tags == NULL or tags.data == NULL:
        return NULL
    hashes = [PyBytes_FromStringAndSize(tags.data + at, TAG_HASH) for at in range(0, tags.size, TAG_HASH)]
    labels = labels_new(len(hashes))
    for hash in hashes:
        labels_add(labels, <PyObject*>hash)
    return labels
