"""Batch reads through a cascade: one batch call a layer, for what is still missing, and one promotion."""

from cpython.list cimport PyList_GET_ITEM, PyList_GET_SIZE
from cpython.object cimport PyObject, PyObject_Hash, PyTypeObject
from libc.stdlib cimport calloc, free

from door43fast.native.batch cimport BLOCK
from door43fast.native.below cimport ASKS
from door43fast.native.encoded cimport Encoded
from door43fast.native.hashing cimport mix
from door43fast.native.meter cimport fetch_begin, fetch_end
from door43fast.native.singles cimport MISSING
from door43fast.native.table cimport PyUnicode_CheckExact
from door43fast.native.tickets cimport STRIPES, ticket_good, ticket_take
from door43fast.native.tiers_memory cimport told_in_memory
from door43fast.native.writes cimport Write

cdef extern from "Python.h":
    PyObject* list_item "PyList_GET_ITEM"(PyObject* o, Py_ssize_t i) noexcept


cdef class Gathering(Promoting):

    cdef list locals_of(self, list keys):
        cdef Py_ssize_t i
        cdef bint same = self.plain != ASKS or self.tier is not None and self.tier.canonical("a") == "a"
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
        self.renew()
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
        self.renew()
        return self.gather(keys, locals, fetched)

    cdef list gather(self, list keys, list locals, Fetched* fetched):
        cdef list values = self.fast.gather(locals, MISSING, False)
        cdef list missing = []
        cdef PyObject* value
        cdef Py_ssize_t i
        for i in range(PyList_GET_SIZE(values)):
            value = list_item(<PyObject*>values, i)
            if value == <PyObject*>MISSING:
                missing.append(i)
                continue
            if fetched != NULL:
                told_in_memory(self.fast, locals[i], <object>value, &fetched[i])
            if value.ob_type == <PyTypeObject*>Encoded:
                values[i] = self.tier.unwrap(<object>value)
        if missing:
            self.fetch_missing(keys, locals, missing, values, fetched)
        return values

    cdef int fetch_missing(self, list keys, list locals, list missing, list values, Fetched* fetched) except -1:
        """Fetch the keys at the places ``missing`` into ``values``; what may go up does."""
        cdef Py_ssize_t n = PyList_GET_SIZE(missing), j
        cdef Ticket* tickets = <Ticket*>calloc(n, sizeof(Ticket))
        cdef Fetched* told = <Fetched*>calloc(n, sizeof(Fetched))
        cdef list wanted = keys, absent = locals, found, places
        cdef int64_t begun
        try:
            if tickets == NULL or told == NULL:
                raise MemoryError()
            if n < PyList_GET_SIZE(keys):
                wanted = [keys[j] for j in missing]
                absent = wanted if keys is locals else [locals[j] for j in missing]
            for j in range(n):
                tickets[j] = ticket_take(self.tickets, mix(PyObject_Hash(absent[j])) % STRIPES)
            begun = fetch_begin(self.gauges)
            found = self.tier.fetch_many(wanted, told)
            fetch_end(self.gauges, begun)
            places = []
            for j in range(n):
                if list_item(<PyObject*>found, j) != <PyObject*>MISSING:
                    values[missing[j]] = found[j]
                    if told[j].keep:
                        places.append(j)
                if fetched != NULL:
                    fetched[<Py_ssize_t>missing[j]] = told[j]
            self.promote_many(absent, found, places, told, tickets)
        finally:
            free(tickets)
            free(told)
        return 0

    cdef int promote_many(self, list locals, list values, list places, Fetched* fetched, Ticket* tickets) except -1:
        """``promote`` for the values at ``places``, with the memory that each block touches asked for before."""
        cdef list keys = [locals[i] for i in places] if PyList_GET_SIZE(places) < PyList_GET_SIZE(locals) else locals
        cdef Py_ssize_t i, j
        for i in range(PyList_GET_SIZE(places)):
            if i % BLOCK == 0 and not self.fast.closed:
                self.fast.read_ahead(keys, i)
            j = places[i]
            self.promote(keys[i], values[j], &fetched[j], &tickets[j])
        return 0

    def contains_many(self, keys):
        """For each of ``keys`` whether it is there, as a list of bool."""
        cdef list wanted = list(keys)
        cdef list locals = self.locals_of(wanted)
        cdef list there, missing
        cdef Py_ssize_t i
        self.below()
        if locals is None:
            return self.slow.contains_many(wanted)
        self.renew()
        there = self.fast.gather(locals, None, True)
        missing = [i for i in range(len(there)) if there[i] is False]
        if missing:
            found = self.slow.contains_many([wanted[i] for i in missing])
            for i in range(len(missing)):
                there[missing[i]] = found[i]
        return there

    def get_packed(self, keys, *, out=None):
        """The values under ``keys``, which must be bytes, in one ``Packed``."""
        cdef object slow = self.below()
        if self.tier.packs or not slow.capabilities.packed:     # straight from where they lie, or refused there
            return slow.get_packed(keys, out=out)
        from door43fast.reference.packing import pack

        wanted = list(keys)
        return pack(wanted, self.get_many(wanted, MISSING), out)
