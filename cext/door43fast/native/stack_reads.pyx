"""Reads of one key through a cascade: what the fast tier lacks is fetched from the slow one, and goes up."""

from cpython.object cimport PyObject_Hash

from door43fast.native.hashing cimport mix
from door43fast.native.meter cimport fetch_begin, fetch_end
from door43fast.native.singles cimport MISSING
from door43fast.native.tickets cimport STRIPES, ticket_good, ticket_take
from door43fast.native.tiers_memory cimport told_in_memory

from door43fast.errors import ClosedError


cdef class Promoting(Coherent):

    cdef object local(self, object key):
        """The key in the fast tier, None where the slow tier alone must answer."""
        if self.closed or self.tier is None:
            raise ClosedError(f"{type(self).__name__} is closed: open it again before use")
        return self.tier.canonical(key)

    cdef object read(self, object key):
        """The value under ``key``, MISSING where there is none."""
        cdef Fetched fetched
        cdef object local = key
        cdef PyObject* held
        if not self.quiet(<PyObject*>key):
            local = self.local(key)
            if local is None:
                return self.slow.get(key, MISSING)
            self.renew()
        held = self.fast.hit(<PyObject*>local, <PyObject*>MISSING)
        if held == <PyObject*>MISSING:
            return self.miss(key, local, &fetched)
        return self.tier.unwrap(<object>held)

    cdef object fetch_for(self, object key, Fetched* fetched):
        cdef PyObject* held
        cdef object local = key
        if not self.quiet(<PyObject*>key):
            local = self.local(key)
            if local is None:
                return self.tier.fetch(key, fetched)
            self.renew()
        held = self.fast.hit(<PyObject*>local, <PyObject*>MISSING)
        if held == <PyObject*>MISSING:
            return self.miss(key, local, fetched)
        value = <object>held
        told_in_memory(self.fast, local, value, fetched)
        return self.tier.unwrap(value)

    cdef object miss(self, object key, object local, Fetched* fetched):
        """What the slow tier has. It goes up, if its ticket is still good when it is here."""
        cdef Ticket ticket = ticket_take(self.tickets, mix(PyObject_Hash(local)) % STRIPES)
        cdef int64_t begun = fetch_begin(self.gauges)
        value = self.tier.fetch(key, fetched)
        fetch_end(self.gauges, begun)
        if value is not MISSING and fetched.keep:
            self.promote(local, value, fetched, &ticket)
        return value

    cdef int promote(self, object local, object value, Fetched* fetched, Ticket* ticket) except -1:
        """Put what the slow tier gave into the fast one, if the ticket is still good. The caller settles."""
        cdef Write w
        kept = self.tier.wrap(value)
        if kept is MISSING or fetched.left == 0 or self.fast.closed:
            return 0
        self.fast.prepare_until(&w, local, kept, (), False,
                                -1 if fetched.left < 0 else self.fast.clock.now() + fetched.left)
        if not ticket_good(self.tickets, ticket) or not self.fits(&w):
            self.fast.abandon(&w)
            return 0
        return self.fast.write(local, kept, &w)     # finds and puts without running Python code in between

    cdef bint fits(self, Write* w) noexcept:
        """What is too large for the fast tier, or finds it full of what stays, is in the slow tier alone."""
        cdef uint64_t fixed = self.fast.pinned if self.fast.ring else self.fast.count
        if self.fast.max_entries and fixed >= self.fast.max_entries:
            return False
        fixed = self.fast.pinned_bytes if self.fast.ring else self.fast.bytes
        return not self.fast.max_bytes or fixed + w.weight <= self.fast.max_bytes

    def _lookup(self, key):
        value = self.read(key)
        if value is not MISSING:
            return 1, value
        self.asked_twice += 1
        return self.below()._lookup(key)

    def __getitem__(self, key):
        value = self.read(key)
        if value is MISSING:
            raise KeyError(key)
        return value

    def __contains__(self, key):
        local = self.local(key)
        if local is not None:
            self.renew()
            if self.fast.peek(local) is not MISSING:
                return True
        return key in self.slow
