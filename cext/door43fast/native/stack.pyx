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
from libc.stdint cimport int64_t

from door43fast.native.clock cimport span_ns

from door43fast.native.encoded cimport Encoded
from door43fast.native.memory cimport MemoryEngine
from door43fast.native.methods cimport PyMethodDef, method_put
from door43fast.native.singles cimport MISSING, get_arguments
from door43fast.native.stack_reads cimport Promotion
from door43fast.native.tiers cimport Fetched
from door43fast.native.tiers_nested cimport tier_over
from door43fast.native.wheel cimport TICK_BITS

from door43fast.contracts import Found
from door43fast.errors import ConfigError, UnsupportedError, did_you_mean

cdef tuple PROMOTIONS = ("always", "second", "never")       # by their numbers
cdef tuple WRITES = ("through", "around")


cdef class CascadeEngine(Publishing):
    """A memory store over a slower one, with the methods of a store."""

    def __init__(self, fast, slow, *, bint share=False, promote="always", write="through", negative=None, stale=None,
                 stale_on_error=None):
        if not isinstance(fast, MemoryEngine):
            raise ConfigError(f"the fast layer of a cascade is a MemoryStore, not {type(fast).__name__}")
        if fast is slow:
            raise ConfigError("the two layers of a cascade must be two stores")
        if getattr(slow, "asynchronous", False):
            raise UnsupportedError(f"{type(slow).__name__} is only for event loops, and a memory tier calls the layer "
                                   "below without awaiting it: use the store by itself, by store.aio")
        if promote not in PROMOTIONS:
            raise ConfigError(f"promote={promote!r} is unknown: {did_you_mean(promote, PROMOTIONS)}")
        if write not in WRITES:
            raise ConfigError(f"write={write!r} is unknown: {did_you_mean(write, WRITES)}")
        if promote == "never" and (write == "around" or negative is not None):
            raise ConfigError(f"promote='never' and {'negative=' if negative is not None else 'write=' + repr(write)} "
                              "exclude each other: nothing would ever go up")
        tier = tier_over(slow, share)
        if self.tier is not None:       # looked at last: what was asked of the stores may have run Python code
            raise TypeError("a cascade is made once: make another one")
        self.promotion = <Promotion><int>PROMOTIONS.index(promote)
        self.around = write == "around"
        self.negative = lasting("negative", negative)
        self.stale = lasting("stale", stale)
        self.on_error = lasting("stale_on_error", stale_on_error)
        self.window = (max(self.stale, self.on_error) + (1 << TICK_BITS) - 1) >> TICK_BITS
        if self.window and (<MemoryEngine>fast).ttl_ns < 0:
            raise ConfigError(f"{'stale=' if self.stale else 'stale_on_error='} has no effect where the fast layer "
                              "keeps a value for as long as it lives: open that with ttl=")
        self.fast = fast
        self.slow = slow
        self.tier = tier
        self.cohere()

    cdef PyObject* get_slowly(self, PyObject** args, Py_ssize_t n, PyObject* names, PyObject* held) except NULL:
        """``get`` for which the key must be seen to first or, with ``held``, what the fast tier gave for it, the class
        ``Encoded`` for nothing."""
        cdef Fetched fetched
        # Held from here on: what comes next may collect garbage, whose finalizers may take the entry out.
        kept = None if held == NULL else <object>held
        key, default = get_arguments(args, n, names)
        if held == NULL:
            value = self.read(key)
        elif kept is Encoded:
            value = self.miss(key, key, &fetched)
        else:
            value = self.opened(kept)
        if value is MISSING:
            value = default
        Py_INCREF(value)
        return <PyObject*>value

    def find(self, key):
        """What is under ``key``, and whether it is to be believed.

        Returns
        -------
        Found or None
            ``value``; ``state``, "fresh" or "stale": past its time in a fast layer and given since the slow one fails
            or is asked meanwhile; ``left``, the seconds that it is kept in the fastest layer that has it (None: no
            end), negative where it is stale: so long past its time. None if there is no value.
        """
        cdef Fetched fetched
        value = self.look(key, &fetched, True)
        if value is MISSING:
            return None
        if fetched.stale:
            return Found(value, "stale", -fetched.age / 1e9)
        return Found(value, "fresh", None if fetched.left < 0 else fetched.left / 1e9)


cdef int64_t lasting(str option, object span) except -1:
    """Nanoseconds of an option, 0 where it was not given."""
    cdef int64_t ns
    if span is None:
        return 0
    try:
        ns = span_ns(span, option)
    except (TypeError, ValueError) as error:
        raise ConfigError(str(error)) from None
    if ns == 0:
        raise ConfigError(f"{option}=0 has no effect: give seconds, or None")
    return ns


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
