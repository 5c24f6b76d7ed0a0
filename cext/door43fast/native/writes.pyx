"""Writing to a table: the options of a write are read first, then the entry is changed in one step.

``prepare`` does all that may run Python code, ``put`` does the rest and runs none; see ``table.pyx`` for the rule.
"""

from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF, Py_XDECREF

from door43fast.native.clock cimport span_ns
from door43fast.native.core cimport BY_EVICTION, BY_USER, FREE, OP_SET
from door43fast.native.hashing cimport mix
from door43fast.native.index cimport groups_put, index_remove, index_room
from door43fast.native.labels cimport Labels
from door43fast.native.policy cimport (
    policy_add, policy_hit, policy_next, policy_remove, policy_reweigh, policy_victim)
from door43fast.native.slab cimport (
    EXTRAS, FLAGS, LINKS, Entry, Extra, Slab, slab_entry, slab_extra, slab_flags, slab_take, slab_turn_on, slab_weight)
from door43fast.native.table cimport (
    ABSOLUTE, ASK, PINNED, STALE, TAGGED, PyUnicode_CheckExact, Table, d43_str_fault, d43_str_hash)
from door43fast.native.tags cimport tag_names
from door43fast.native.weigh cimport weigh
from door43fast.native.wheel cimport LONG, NEVER, TICK_BITS, wheel_arm, wheel_disarm, wheel_holds, wheel_open

from door43fast.errors import BudgetError


cdef class Writes(Table):
    cdef int prepare(self, Write* w, object key, object value, object ttl, object tags, bint pin,
                     object stale) except -1:
        """Read the options of a write. May run Python code; the caller abandons ``w`` if it does not ``put`` it."""
        cdef int64_t span = self.ttl_ns
        cdef tuple names = () if tags is None or (type(tags) is tuple and not tags) else tag_names(tags)
        w.deadline = NEVER
        w.until = 0
        w.extra = NULL
        w.weight = 0
        w.gone = False
        w.flags = PINNED if pin else 0
        if ttl is not None:
            span = span_ns(ttl, "ttl")
            if self.idle:
                w.flags |= ABSOLUTE
        if span >= 0:
            w.gone = span == 0
            w.deadline = self.due(span)
            if stale is not None:
                w.until = self.due(span + span_ns(stale, "stale"))
                w.flags |= STALE
        elif self.idle:
            w.deadline = self.tick() + self.idle + 1
        if self.max_bytes:
            w.weight = weigh(key, value, self.weigher)
        if names:
            w.flags |= TAGGED
        if names or w.until or w.deadline >= LONG:
            w.extra = self.tags.claim(names)
            w.extra.deadline = w.deadline
            w.extra.until = w.until
        return 0

    cdef int prepare_until(self, Write* w, object key, object value, object tags, bint pin,
                           int64_t deadline_ns) except -1:
        """The same for a copy from a slower tier, whose deadline is known: nanoseconds of our clock, -1 for none."""
        cdef uint64_t due
        self.prepare(w, key, value, None, tags, pin, None)
        if deadline_ns >= 0:
            due = self.due(max(deadline_ns - self.clock.now(), 0))
            if w.deadline == NEVER or due < w.deadline:
                w.deadline = due
            if self.idle:
                w.flags |= ABSOLUTE
            if w.deadline >= LONG and w.extra == NULL:
                w.extra = self.tags.claim(())
            if w.extra != NULL:
                w.extra.deadline = w.deadline
        return 0

    cdef uint64_t due(self, int64_t span) noexcept:
        """The tick at which a span that begins now has passed: rounded up, so never early."""
        cdef int64_t at = max(self.clock.now() - self.birth, 0) + span
        return max(<uint64_t>(at + ((1 << TICK_BITS) - 1)) >> TICK_BITS, 1)

    cdef void abandon(self, Write* w) noexcept:
        if w.extra != NULL:
            self.tags.release(w.extra)
            w.extra = NULL

    cdef int put(self, object key, uint32_t hash, uint32_t ref, object value, Write* w) except -1:
        """``place``, and ``w`` is abandoned if it raises."""
        if w.extra == NULL:
            return self.place(key, hash, ref, value, w)
        try:
            return self.place(key, hash, ref, value, w)
        except BaseException:
            self.abandon(w)
            raise

    # hot
    cdef int place(self, object key, uint32_t hash, uint32_t ref, object value, Write* w) except -1:
        """Store ``value`` in entry ``ref``, or in a new one where it is 0, as ``find`` has just said.

        Takes ``w.extra``. Raises before anything has changed, or not at all. Runs no Python code; the caller settles
        afterwards.
        """
        cdef Slab* s = &self.slab
        cdef Entry* e
        cdef uint64_t old_weight = 0
        cdef bint was_pinned = False
        cdef bint pin = (w.flags & PINNED) != 0
        cdef bint fresh = ref == 0
        cdef bint queued = False    # it stands where the policy sees it
        cdef Labels* labels = NULL
        self.shut()
        if w.flags or w.extra != NULL or w.deadline != NEVER:
            self.columns_for(w)
        if not fresh:
            was_pinned = self.special and (slab_flags(s, ref)[0] & PINNED) != 0
            queued = self.ring and not was_pinned
            if self.max_bytes:
                old_weight = slab_weight(s, ref)[0]
        if self.max_bytes or self.max_entries and self.count >= self.max_entries:
            self.afford(key, w.weight, old_weight, was_pinned, fresh)
        self.version += 1       # before there may be no memory for the rest: the index may have moved by then
        if fresh:
            if not index_room(&self.index, s):
                raise MemoryError()
            if self.max_entries and self.count >= self.max_entries:
                self.remove(policy_victim(&self.policy, s), BY_EVICTION, True)
                self.expect(policy_next(&self.policy, s))
            ref = slab_take(s)
            if ref == 0:
                raise MemoryError()
        self.special = self.special or w.flags != 0
        self.sets += 1
        e = slab_entry(s, ref)
        if fresh:
            e.key = <PyObject*>key
            Py_INCREF(key)
            e.hash = hash
            groups_put(&self.index.now, hash, self.marked(<PyObject*>key, ref))
            self.count += 1
            self.keys_version += 1
        else:
            self.doom(e.value)
            if s.on[LINKS] and wheel_holds(s, ref):
                wheel_disarm(self.wheel, s, ref)
            if s.on[EXTRAS] and slab_extra(s, ref)[0] != NULL:
                if self.events is not None and self.events.labelled():
                    labels = self.tags.labels(slab_extra(s, ref)[0], w.extra)
                self.tags.release(slab_extra(s, ref)[0])
                slab_extra(s, ref)[0] = NULL
            if queued and (pin or self.bytes + w.weight - old_weight > self.max_bytes > 0):
                policy_remove(&self.policy, s, ref)     # it must not be a victim of its own write
                queued = False
            if was_pinned:
                self.pinned -= 1
                self.pinned_bytes -= old_weight
        e.value = <PyObject*>value
        Py_INCREF(value)
        if s.on[FLAGS]:
            slab_flags(s, ref)[0] = w.flags
        if w.extra != NULL:
            slab_extra(s, ref)[0] = w.extra
            w.extra = NULL
        e.deadline = <uint32_t>w.deadline if w.deadline < LONG else LONG
        if w.deadline != NEVER:
            wheel_arm(self.wheel, s, ref, w.deadline)
        if pin:
            self.pinned += 1
            self.pinned_bytes += w.weight
        if self.max_bytes:
            slab_weight(s, ref)[0] = w.weight
            self.bytes += w.weight - old_weight
            while self.bytes > self.max_bytes:
                self.remove(policy_victim(&self.policy, s), BY_EVICTION, True)
        if queued:
            policy_reweigh(&self.policy, s, ref, old_weight)
            policy_hit(&self.policy, s, ref)
        elif self.ring and not pin:
            policy_add(&self.policy, s, ref)
        if self.events is not None and (self.events.heard() or labels != NULL):
            if labels == NULL and self.events.labelled() and s.on[EXTRAS]:
                labels = self.tags.labels(slab_extra(s, ref)[0], NULL)
            self.events.push(OP_SET, BY_USER, <PyObject*>key, <PyObject*>value, labels)
        return 0

    # hot
    cdef bint place_plainly(self, PyObject* key, PyObject* value) noexcept:
        """``set`` where nothing is asked for but the value: it replaces one, or takes the place of the one evicted.

        False where ``place`` must be asked; then nothing has changed. The entry of the one evicted is handed on with
        its reference, and what was in it is let go of as the last act. Runs no Python code before that.
        """
        cdef Slab* s = &self.slab
        cdef uint32_t hash, ref
        cdef Entry* e
        cdef PyObject* old_key = NULL
        cdef PyObject* old_value
        cdef Py_hash_t h
        if not PyUnicode_CheckExact(key) or self.ttl_ns >= 0 or self.wheel != NULL or self.special or (
                self.max_bytes or self.closed or self.events is not None and self.events.heard() or self.flights
                or self.index.old.group != NULL):
            return False
        h = d43_str_hash(key)
        if h == -1:
            return False
        hash = mix(h)
        ref = self.seek(&self.index.now, key, hash)
        if ref == ASK:
            return False
        self.shut()
        if ref == 0:
            if not self.ring or self.count < self.max_entries or d43_str_fault(key):
                return False
            ref = policy_victim(&self.policy, s)
            e = slab_entry(s, ref)
            index_remove(&self.index, e.hash, ref)
            policy_remove(&self.policy, s, ref)
            old_key = e.key
            e.key = key
            Py_INCREF(<object>key)
            e.hash = hash
            groups_put(&self.index.now, hash, self.marked(key, ref))
            policy_add(&self.policy, s, ref)
            self.evictions += 1
            self.keys_version += 1
            self.expect(policy_next(&self.policy, s))
        else:
            e = slab_entry(s, ref)
            if self.ring:
                policy_hit(&self.policy, s, ref)
        old_value = e.value
        e.value = value
        Py_INCREF(<object>value)
        self.version += 1
        self.sets += 1
        if FREE:                # what they run is not to run under the lock
            self.doom(old_value)
            if old_key != NULL:
                self.doom(old_key)
            return True
        Py_DECREF(<object>old_value)
        Py_XDECREF(old_key)
        return True

    cdef int columns_for(self, Write* w) except -1:
        """Make sure that the columns which a write needs are there."""
        if (w.flags and not slab_turn_on(&self.slab, FLAGS)) or (
                w.extra != NULL and not slab_turn_on(&self.slab, EXTRAS)):
            raise MemoryError()
        if w.deadline != NEVER:
            self.wheel_on()
        return 0

    cdef int wheel_on(self) except -1:
        if self.wheel == NULL:
            self.wheel = wheel_open(self.tick())
        if self.wheel == NULL or not slab_turn_on(&self.slab, LINKS):
            raise MemoryError()
        return 0

    cdef int afford(self, object key, uint64_t weight, uint64_t old_weight, bint was_pinned, bint fresh) except -1:
        """Raise if the budgets cannot hold the write, whatever is evicted for it."""
        cdef uint64_t fixed = 0
        if self.max_bytes:
            fixed = self.pinned_bytes - (old_weight if was_pinned else 0) if self.ring else self.bytes - old_weight
        return self.grant(key, weight, fixed, fresh and self.count >= self.max_entries and (
            not self.ring or self.pinned == self.count))

    cdef int grant(self, object key, uint64_t weight, uint64_t fixed, bint full) except -1:
        """Raise if ``weight`` does not fit beside ``fixed`` bytes that stay, or ``full`` is said of the entries."""
        if self.max_bytes:
            if weight > self.max_bytes:
                raise BudgetError(f"the value under key {key!r} weighs {weight} bytes and max_bytes is "
                                  f"{self.max_bytes}: raise max_bytes, or do not cache it")
            if fixed + weight > self.max_bytes:
                raise BudgetError(f"no room for {weight} bytes under key {key!r}: {fixed} of {self.max_bytes} bytes "
                                  "are held by entries that may not be evicted; unpin or delete some")
        if self.max_entries and full:
            raise BudgetError(f"no room for key {key!r}: all {self.max_entries} entries are pinned or the policy is "
                              "'none'; unpin or delete some, or raise max_entries")
        return 0

    cdef bint crowding(self) noexcept:
        """Writes that are each affordable may not be together: something stays whatever is evicted."""
        return (self.max_bytes or self.max_entries) and (not self.ring or self.pinned > 0)

    cdef Claim claims(self) noexcept:
        """What stays now, once what is due is gone; ``claim`` goes on from there. The caller settles."""
        cdef Claim c
        if self.wheel != NULL:
            self.reap(0xFFFFFFFF)
        c.entries = self.pinned if self.ring else self.count
        c.bytes = self.pinned_bytes if self.ring else self.bytes
        return c

    cdef int claim(self, Claim* c, object key, Write* w) except -1:
        """Raise if the budgets cannot hold the next of several writes after those before it; NULL for a delete.

        Keys must differ. May run Python code.
        """
        cdef uint32_t hash
        cdef uint32_t ref = self.find(key, &hash)
        if ref and (not self.ring or (self.special and slab_flags(&self.slab, ref)[0] & PINNED)):
            c.entries -= 1
            if self.max_bytes:
                c.bytes -= slab_weight(&self.slab, ref)[0]
        if w == NULL or w.gone:
            return 0
        self.grant(key, w.weight, c.bytes, c.entries >= self.max_entries)
        if not self.ring or w.flags & PINNED:
            c.entries += 1
            c.bytes += w.weight
        return 0

    cdef int expire_at(self, uint32_t ref, uint64_t deadline) except -1:
        """Give an entry another deadline, NEVER for none."""
        cdef Slab* s = &self.slab
        cdef Entry* e = slab_entry(s, ref)
        cdef Extra* x
        self.shut()
        if deadline != NEVER:
            self.wheel_on()
            if deadline >= LONG and not slab_turn_on(s, EXTRAS):
                raise MemoryError()
            if deadline >= LONG and slab_extra(s, ref)[0] == NULL:
                slab_extra(s, ref)[0] = self.tags.claim(())
        if s.on[EXTRAS]:
            x = slab_extra(s, ref)[0]
            if x != NULL:
                x.deadline = deadline
                x.until = 0
                if s.on[FLAGS]:
                    slab_flags(s, ref)[0] &= <uint8_t>(0xFF ^ STALE)
        if s.on[LINKS] and wheel_holds(s, ref):
            wheel_disarm(self.wheel, s, ref)
        e.deadline = <uint32_t>deadline if deadline < LONG else LONG
        if deadline != NEVER:
            wheel_arm(self.wheel, s, ref, deadline)
        self.version += 1
        return 0

    cdef void slide(self, Entry* e, uint32_t ref) noexcept:
        """Renew the deadline of an entry with sliding expiry. The wheel finds it early and arms it again."""
        cdef uint64_t due
        if e.deadline == NEVER or e.deadline == LONG or slab_flags(&self.slab, ref)[0] & ABSOLUTE:
            return
        due = self.tick() + self.idle + 1
        if due < LONG:
            e.deadline = <uint32_t>due
