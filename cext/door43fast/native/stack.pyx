"""The cascade: a memory store over a slower one.

Reads go to the fast tier first; a hit there runs no Python code. What it lacks is read from the slow tier and
promoted. Writes and deletes go to the slow tier first, then the fast one follows. What may go up, and when, is
ruled by tickets (``tickets.pxd``), so that nothing that was overwritten or deleted comes back, and by the slow
tier's epoch: when another process has written there, what it changed leaves the fast tier before that is read; all of
it, where the slow tier keeps no journal that tells.

Its parts: what is answered from below alone (``below``), what others change (``coherence``), reads of one key
(``stack_reads``) and of many (``stack_batches``), and writes (``stack_writes``).
"""

from cpython.object cimport PyObject, PyTypeObject
from cpython.ref cimport Py_INCREF

from door43fast.native.encoded cimport Encoded
from door43fast.native.memory cimport MemoryEngine
from door43fast.native.methods cimport PyMethodDef, method_put
from door43fast.native.singles cimport MISSING, get_arguments
from door43fast.native.tiers cimport Fetched
from door43fast.native.tiers_nested cimport tier_over

from door43fast.errors import ConfigError, UnsupportedError


cdef class CascadeEngine(Publishing):
    """A memory store over a slower one, with the methods of a store."""

    def __init__(self, fast, slow, *, bint share=False):
        if not isinstance(fast, MemoryEngine):
            raise ConfigError(f"the fast layer of a cascade is a MemoryStore, not {type(fast).__name__}")
        if fast is slow:
            raise ConfigError("the two layers of a cascade must be two stores")
        if getattr(slow, "asynchronous", False):
            raise UnsupportedError(f"{type(slow).__name__} is only for event loops, and a memory tier calls the layer "
                                   "below without awaiting it: use the store by itself, by store.aio")
        self.fast = fast
        self.slow = slow
        self.tier = tier_over(slow, share)
        self.cohere()

    cdef PyObject* get_slowly(self, PyObject** args, Py_ssize_t n, PyObject* names, PyObject* held) except NULL:
        """``get`` for which the key must be seen to first or, with ``held``, what the fast tier gave for it, the class
        ``Encoded`` for nothing."""
        cdef Fetched fetched
        key, default = get_arguments(args, n, names)
        if held == NULL:
            value = self.read(key)
        elif held == <PyObject*>Encoded:
            value = self.miss(key, key, &fetched)
        else:
            value = self.tier.unwrap(<object>held)
        if value is MISSING:
            value = default
        Py_INCREF(value)
        return <PyObject*>value


# hot
cdef PyObject* get_plainly(PyObject* self, PyObject** args, Py_ssize_t n, PyObject* names) except NULL:
    cdef PyObject* held
    cdef PyObject* absent = <PyObject*>Encoded      # at hand, and under no key
    if names != NULL or n < 1 or n > 2 or not (<CascadeEngine>self).quiet(args[0]):
        return (<CascadeEngine>self).get_slowly(args, n, names, NULL)
    held = (<CascadeEngine>self).fast.hit(args[0], absent)
    if held == absent or held.ob_type == <PyTypeObject*>absent:
        return (<CascadeEngine>self).get_slowly(args, n, names, held)
    Py_INCREF(<object>held)
    return held


cdef PyMethodDef GET
method_put(<PyTypeObject*>CascadeEngine, &GET, b"get", get_plainly,
           b"get($self, /, key, default=None)\n--\n\nThe value under ``key``, or ``default``.")
