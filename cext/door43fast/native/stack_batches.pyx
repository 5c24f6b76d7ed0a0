"""Batch reads through a cascade: one batch call a layer, for what is still missing, and one promotion."""

from cpython.list cimport PyList_GET_ITEM, PyList_GET_SIZE
from cpython.object cimport PyObject, PyObject_Hash, PyTypeObject
from libc.stdlib cimport calloc, free

from door43fast.native.batch cimport BLOCK
from door43fast.native.encoded cimport NOTHING, Encoded
from door43fast.native.hashing cimport mix
from door43fast.native.meter cimport fetch_begin, fetch_end
from door43fast.native.singles cimport MISSING
from door43fast.native.table cimport PyUnicode_CheckExact
from door43fast.native.stack_reads cimport NEVER_UP
from door43fast.native.tickets cimport STRIPES, ticket_take
from door43fast.native.tiers_memory cimport past_in_memory, told_in_memory

cdef extern from "Python.h":
    PyObject* list_item "PyList_GET_ITEM"(PyObject* o, Py_ssize_t i) noexcept


cdef class Gathering(Promoting):

    cdef list locals_of(self, list keys):
        cdef Py_ssize_t i
        cdef bint same = self.tier is not None and self.tier.canonical("a") == "a"
        cdef list locals
        for i in range(PyList_GET_SIZE(keys) if same else 0):
            if not PyUnicode_CheckExact(list_item(<PyObject*>keys, i)):
                same = False
                break
        if same:
            self.below()        # open, or an error
            return keys
        locals = [self.local(key) for key in keys]
        return None if None in locals else locals

    def get_many(self, keys, default=None):
        """The values under ``keys``, in their order, with ``default`` where there is none."""
        cdef list wanted = list(keys)
        cdef list locals = self.locals_of(wanted)
        cdef list values
        cdef Py_ssize_t i
        self.below()
        if locals is None:
            return self.slow.get_many(wanted, default)
        values = self.gather(wanted, locals, NULL)
        if default is not MISSING:
            for i in range(PyList_GET_SIZE(values)):
                if list_item(<PyObject*>values, i) == <PyObject*>MISSING:
                    values[i] = default
        return values

    cdef list fetch_many_for(self, list keys, Fetched* fetched):
        cdef list locals = self.locals_of(keys)
        if locals is None:
            return self.tier.fetch_many(keys, fetched)
        return self.gather(keys, locals, fetched)

    cdef list gather(self, list keys, list locals, Fetched* fetched):
        cdef list values, missing = []
        cdef PyObject* value
        cdef Fetched other
        cdef Instant now
        cdef Py_ssize_t i
        if not self.renewed():
            return [self.doubtful(keys[i], locals[i], &other if fetched == NULL else &fetched[i])
                    for i in range(PyList_GET_SIZE(keys))]
        now = self.instant()
        values = self.fast.gather(locals, MISSING, False)
        for i in range(PyList_GET_SIZE(values)):
            value = list_item(<PyObject*>values, i)
            if value == <PyObject*>MISSING:
                missing.append(i)
                continue
            if fetched != NULL:
                told_in_memory(self.fast, locals[i], <object>value, &fetched[i])
            if value.ob_type == <PyTypeObject*>Encoded:
                values[i] = self.opened(<object>value)
        if missing and self.stale:
            missing = self.give_while_renewed(keys, locals, missing, values, fetched)
        if missing:
            self.fetch_missing(keys, locals, missing, values, fetched)
        if not self.stale and self.torn(&now, PyList_GET_SIZE(missing), PyList_GET_SIZE(values)):
            self.read_below(keys, values, fetched)
        return values

    cdef Instant instant(self) noexcept:
        """REQUIRES: the fast tier is asked next, and nothing was waited for since ``renew``."""
        cdef Instant now
        now.epoch = self.tickets.epoch
        now.moves = self.tickets.moves
        now.seen = self.seen
        now.wide = self.tickets.wide != 0
        now.filling = self.tickets.filling != 0
        return now

    cdef bint torn(self, Instant* then, Py_ssize_t missing, Py_ssize_t of) except -1:
        """Whether values of the fast tier and values fetched after them may be of two instants."""
        if missing == 0:
            return then.filling
        return missing < of and (then.wide or then.moves != self.tickets.moves or then.epoch != self.tickets.epoch
                                 or then.seen != self.tier.epoch())

    cdef int read_below(self, list keys, list values, Fetched* fetched) except -1:
        """Put into ``values`` what the slow tier has for all of ``keys``, at one instant."""
        cdef Py_ssize_t n = PyList_GET_SIZE(keys), i
        cdef Fetched* told = <Fetched*>calloc(n, sizeof(Fetched))
        if told == NULL:
            raise MemoryError()
        try:
            values[:] = self.tier.fetch_many(keys, told)
            for i in range(n):
                told[i].asked = True
                if fetched != NULL:
                    fetched[i] = told[i]
        except Exception as error:
            if not self.excused(error):     # else what was read stands: it is all that can be had
                raise
        finally:
            free(told)
        return 0

    cdef list give_while_renewed(self, list keys, list locals, list missing, list values, Fetched* fetched):
        """Put what is past its time into ``values`` where it is to be given at once. Returns what is missing still."""
        cdef list rest = []
        cdef Fetched other
        cdef int64_t age = 0
        cdef Py_ssize_t i
        for i in missing:
            kept = past_in_memory(self.fast, locals[i], &age)
            if kept is MISSING or age >= self.stale:
                rest.append(i)
                continue
            self.refresh(keys[i], locals[i])
            values[i] = self.give(kept, age, &other if fetched == NULL else &fetched[i])
        return rest

    cdef int fetch_missing(self, list keys, list locals, list missing, list values, Fetched* fetched) except -1:
        """Fetch the keys at the places ``missing`` into ``values``; what may go up does."""
        cdef Py_ssize_t n = PyList_GET_SIZE(missing), i, j
        cdef Ticket* tickets = <Ticket*>calloc(n, sizeof(Ticket))
        cdef Fetched* told = <Fetched*>calloc(n, sizeof(Fetched))
        cdef list wanted = keys, absent = locals, found
        cdef int64_t begun
        try:
            if tickets == NULL or told == NULL:
                raise MemoryError()
            if n < PyList_GET_SIZE(keys):
                wanted = [keys[i] for i in missing]
                absent = wanted if keys is locals else [locals[i] for i in missing]
            for j in range(n):
                tickets[j] = ticket_take(self.tickets, mix(PyObject_Hash(absent[j])) % STRIPES)
            begun = fetch_begin(self.gauges)
            try:
                found = self.tier.fetch_many(wanted, told)
            except Exception as error:
                if not self.excused(error):
                    raise
                found = [self.rescue(local, &told[j]) for j, local in enumerate(absent)]
                if MISSING in found:
                    raise
            else:
                self.settle_many(absent, found, told, tickets)
            fetch_end(self.gauges, begun)
            for j in range(n):
                i = missing[j]
                values[i] = found[j]
                if fetched != NULL:
                    fetched[i] = told[j]
        finally:
            free(tickets)
            free(told)
        return 0

    cdef int settle_many(self, list locals, list values, Fetched* fetched, Ticket* tickets) except -1:
        """``settle_fetch`` for each, with the memory that a block touches asked for before."""
        cdef int64_t age
        cdef Py_ssize_t j
        cdef bint none = self.promotion == NEVER_UP and not self.window
        for j in range(0 if none else PyList_GET_SIZE(locals)):
            if j % BLOCK == 0 and not self.fast.closed:
                self.fast.read_ahead(locals, j)
            fetched[j].asked = True
            if list_item(<PyObject*>values, j) == <PyObject*>MISSING and not self.negative and not self.window:
                continue
            self.settle_fetch(locals[j], values[j], &fetched[j], &tickets[j],
                              self.window and past_in_memory(self.fast, locals[j], &age) is not MISSING)
        return 0

    def contains_many(self, keys):
        """For each of ``keys`` whether it is there, as a list of bool."""
        cdef list wanted = list(keys)
        cdef list locals = self.locals_of(wanted)
        cdef list there, missing
        cdef Instant now
        cdef Py_ssize_t i
        self.below()
        if locals is None:
            return self.slow.contains_many(wanted)
        self.renew()
        now = self.instant()
        there = self.fast.gather(locals, None, True)
        missing = [i for i in range(len(there)) if there[i] is False]
        if self.negative:
            for i in range(len(there)):
                if there[i] and self.fast.peek(locals[i]) is NOTHING:
                    there[i] = False
        if missing:
            found = self.slow.contains_many([wanted[i] for i in missing])
            for i in range(len(missing)):
                there[missing[i]] = found[i]
        if self.torn(&now, len(missing), len(there)):
            return self.slow.contains_many(wanted)
        return there

    def get_packed(self, keys, *, out=None):
        """The values under ``keys``, which must be bytes, in one ``Packed``."""
        cdef object slow = self.below()
        if self.tier.packs or not slow.capabilities.packed:     # straight from where they lie, or refused there
            return slow.get_packed(keys, out=out)
        from door43fast.reference.packing import pack

        wanted = list(keys)
        return pack(wanted, self.get_many(wanted, MISSING), out)
