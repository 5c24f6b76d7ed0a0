"""Reads of one key through a cascade: what the fast tier lacks is fetched from the slow one, and goes up.

That there is nothing goes up too, if asked for: an entry like any other, whose value is ``NOTHING``. A value past its
time in the fast tier, which its own ``ttl`` has ended, may be kept for a while and given where the slow tier fails, or
while it is renewed. Its end by the caller's ``ttl`` is never passed: the window ends with it.
"""

from cpython.object cimport PyObject_Hash

from door43fast.native.encoded cimport NOTHING, Encoded
from door43fast.native.hashing cimport mix
from door43fast.native.meter cimport fetch_begin, fetch_end
from door43fast.native.singles cimport MISSING
from door43fast.native.sketch cimport sketch_close, sketch_count, sketch_estimate
from door43fast.native.table cimport STALE
from door43fast.native.tickets cimport STRIPES, ticket_good, ticket_take
from door43fast.native.tiers_memory cimport past_in_memory, told_in_memory
from door43fast.native.wheel cimport NEVER, TICK_BITS

from door43fast.errors import ClosedError, blames_layer

cdef enum:
    AT_LEAST = 1024         # keys of which the door remembers those that came once, however few the fast tier holds


cdef class Promoting(Coherent):

    def __dealloc__(self):
        sketch_close(&self.door)

    cdef object local(self, object key):
        """The key in the fast tier, None where the slow tier alone must answer."""
        if self.closed or self.tier is None:
            raise ClosedError(f"{type(self).__name__} is closed: open it again before use")
        return self.tier.canonical(key)

    cdef object read(self, object key):
        """The value under ``key``, MISSING where there is none."""
        cdef Fetched fetched
        return self.look(key, &fetched, False)

    cdef object fetch_for(self, object key, Fetched* fetched):
        return self.look(key, fetched, True)

    cdef object look(self, object key, Fetched* fetched, bint tell):
        cdef object local = key
        cdef PyObject* held
        fetched.asked = fetched.stale = fetched.keep = False
        if not self.quiet(<PyObject*>key):
            local = self.local(key)
            if local is None:
                return self.tier.fetch(key, fetched)
            if not self.renewed():
                return self.doubtful(key, local, fetched)
        held = self.fast.hit(<PyObject*>local, <PyObject*>MISSING)
        if held == <PyObject*>MISSING:
            return self.miss(key, local, fetched)
        value = <object>held
        if tell:
            told_in_memory(self.fast, local, value, fetched)
        return self.opened(value)

    cdef object opened(self, object kept):
        if kept is NOTHING:
            self.negatives += 1
            return MISSING
        return self.tier.unwrap(kept) if type(kept) is Encoded else kept

    cdef object miss(self, object key, object local, Fetched* fetched):
        """What the slow tier has; a value past its time at once, if it may be given while it is renewed."""
        cdef int64_t age = 0
        cdef bint held = False
        fetched.asked = fetched.stale = fetched.keep = False
        if self.window:
            kept = past_in_memory(self.fast, local, &age)
            held = kept is not MISSING
            if held and age < self.stale:
                self.refresh(key, local)
                return self.give(kept, age, fetched)
        try:
            return self.fetch(key, local, fetched, held)
        except Exception as error:
            if not self.excused(error):
                raise
            kept = self.rescue(local, fetched)
            if kept is MISSING:
                raise
            return kept

    cdef object fetch(self, object key, object local, Fetched* fetched, bint held):
        """What the slow tier has. It goes up, if its ticket is still good when it is here."""
        cdef Ticket ticket = ticket_take(self.tickets, mix(PyObject_Hash(local)) % STRIPES)
        cdef int64_t begun = fetch_begin(self.gauges)
        value = self.tier.fetch(key, fetched)
        fetch_end(self.gauges, begun)
        fetched.asked = True
        self.settle_fetch(local, value, fetched, &ticket, held)
        return value

    # -- values past their time ------------------------------------------------------------------------------

    cdef object give(self, object kept, int64_t age, Fetched* fetched):
        self.stales += 1
        fetched.stale = True
        fetched.keep = False
        fetched.age = age
        return self.tier.unwrap(kept)

    cdef bint excused(self, error) except -1:
        """Whether a stale value may be given in place of ``error``."""
        return self.on_error != 0 and blames_layer(error)

    cdef object rescue(self, object local, Fetched* fetched):
        """What there is of ``local``, looked at after the slow tier has failed: so nothing that was overwritten."""
        cdef int64_t age = 0
        kept = self.fast.peek(local)
        if kept is NOTHING:
            return MISSING
        if kept is MISSING:
            kept = past_in_memory(self.fast, local, &age)
            if kept is MISSING or age >= self.on_error:
                return MISSING
        return self.give(kept, age, fetched)

    cdef bint renewed(self) except -1:
        try:
            self.renew()
            return True
        except Exception as error:
            if not self.excused(error):
                raise
            return False

    cdef object doubtful(self, object key, object local, Fetched* fetched):
        """A read while it cannot be told what others have changed: what the slow tier has, and else what is kept."""
        try:
            value = self.tier.fetch(key, fetched)
            fetched.asked = True
            return value
        except Exception as error:
            if not self.excused(error):
                raise
            kept = self.rescue(local, fetched)
            if kept is MISSING:
                raise
            return kept

    cdef int refresh(self, object key, object local) except -1:
        """Have ``key`` fetched anew in the background, once at a time."""
        if self.refresher is None:
            from door43fast.layers.refresher import Refresher

            self.refresher = Refresher(self)
        self.refresher.ask(key, local)
        return 0

    def _refresh(self, key):
        """Fetch ``key`` anew: what the background does for a value that was given past its time."""
        cdef Fetched fetched
        cdef int64_t age
        local = self.local(key)
        try:
            self.renew()
            fetched.stale = fetched.keep = False
            self.fetch(key, local, &fetched, past_in_memory(self.fast, local, &age) is not MISSING)
        except BaseException:
            self.unrefreshed += 1
            raise
        self.refreshed += 1

    # -- what goes up ----------------------------------------------------------------------------------------

    cdef int settle_fetch(self, object local, object value, Fetched* fetched, Ticket* ticket, bint held) except -1:
        cdef int64_t span = self.negative
        cdef bint up = not self.fast.closed and not fetched.stale
        kept = MISSING
        if value is MISSING:
            if up and self.negative and (held or self.admits(local)):
                if fetched.stale is False and fetched.keep and 0 <= fetched.left < span:
                    span = fetched.left         # a tier below knows it for no longer
                kept = NOTHING
        elif up and fetched.keep and fetched.left and (held or self.admits(local)):
            kept = self.tier.wrap(value)
            span = fetched.left
        if kept is not MISSING and self.promote(local, kept, -1 if span < 0 else self.fast.clock.now() + span, ticket):
            return 0
        if held and up and ticket_good(self.tickets, ticket):
            self.fast.discard(local)        # it is not what the slow tier has
        return 0

    cdef bint admits(self, object local) except -1:
        """Whether what was fetched goes up: under SECOND only if it was fetched once of late."""
        cdef uint32_t hash
        if self.promotion != SECOND:
            return self.promotion == ALWAYS
        hash = mix(PyObject_Hash(local))
        if sketch_estimate(&self.door, hash):
            return True
        sketch_count(&self.door, hash, max(self.fast.count, <uint64_t>AT_LEAST))
        return False

    cdef int promote(self, object local, object kept, int64_t deadline, Ticket* ticket) except -1:
        """Put it into the fast tier until ``deadline``, if the ticket is still good. 1 if that was done."""
        cdef Write w
        self.fast.prepare_until(&w, local, kept, (), False, deadline)
        if not ticket_good(self.tickets, ticket) or not self.fits(&w):
            self.fast.abandon(&w)
            return 0
        if self.window and kept is not NOTHING:
            self.stretch(&w, deadline)
        self.fast.write(local, kept, &w)        # finds and puts without running Python code in between
        return 1

    cdef int stretch(self, Write* w, int64_t deadline) except -1:
        cdef uint64_t until
        if w.deadline == NEVER:
            return 0
        until = w.deadline + self.window
        if deadline >= 0:       # rounded down: never beyond what the caller gave it
            until = min(until, <uint64_t>max(deadline - self.fast.birth, 0) >> TICK_BITS)
        if until <= w.deadline:
            return 0
        if w.extra == NULL:
            w.extra = self.fast.tags.claim(())
            w.extra.deadline = w.deadline
        w.until = w.extra.until = until
        w.flags |= STALE
        return 0

    cdef bint fits(self, Write* w) noexcept:
        """What is too large for the fast tier, or finds it full of what stays, is in the slow tier alone."""
        cdef uint64_t fixed = self.fast.pinned if self.fast.ring else self.fast.count
        if self.fast.max_entries and fixed >= self.fast.max_entries:
            return False
        fixed = self.fast.pinned_bytes if self.fast.ring else self.fast.bytes
        return not self.fast.max_bytes or fixed + w.weight <= self.fast.max_bytes

    def _lookup(self, key):
        cdef Fetched fetched
        value = self.look(key, &fetched, False)
        if value is not MISSING:
            return 1, value
        if fetched.asked:
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
            kept = self.fast.peek(local)
            if kept is not MISSING:
                return kept is not NOTHING
        return key in self.slow
