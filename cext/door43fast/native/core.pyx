"""What every native store is: open or closed, with events to tell and computations under way."""

import os
import threading
import weakref

cimport cython
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF, Py_XDECREF, Py_XINCREF
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from door43fast.native.clock cimport d43_wall_ns
from door43fast.native.labels cimport labels_free, labels_tuple

from door43fast.contracts import Event

cdef extern from "Python.h":
    unsigned long PyThread_get_thread_ident() noexcept

cdef enum:
    RESERVED = 0
    FILLED = 1
    CANCELLED = 2

cdef tuple OPS = ("set", "delete", "clear", "invalidate")
cdef tuple REASONS = ("user", "expire", "evict", "coherence")


cdef class Flight:
    """One computation of one key under way."""

    def __cinit__(self):
        self.owner = PyThread_get_thread_ident()

    @property
    def voided(self):
        """Set by any write of the key: what is computed is not to be stored over it."""
        return flag_now(self.voided)

    @voided.setter
    def voided(self, bint yes):
        flag_put(self.voided, yes)


cdef class Subscription:
    """A listener of one store; :meth:`cancel` ends it. Also a context manager."""
    cdef EventQueue queue
    cdef readonly str pattern
    cdef readonly bint values
    cdef object wants           # of op and key; None for every change of a key
    cdef object label           # what the tag is called whose entries are wanted; None for any
    cdef object callback

    def __cinit__(self, EventQueue queue not None):
        self.queue = queue

    def cancel(self):
        """Stop listening. An event that is being delivered at this moment may still arrive."""
        cdef EventQueue queue = self.queue
        with cython.critical_section(queue):
            queue.listen(tuple([s for s in queue.subscriptions if s is not self]))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.cancel()


cdef class EventQueue:
    """Events in the order of the changes that they tell of.

    A change takes its number, and with it its place in the queue, under the lock that makes the change (the store's
    for memory, the writer's for LMDB). Nothing between the change and its place may run Python code, so the
    records lie in C memory and are turned into :class:`Event` objects on delivery. One thread at a time delivers,
    in order and outside every lock; others return at once and leave it theirs. A place that is reserved but not
    yet filled holds back those behind it.
    """

    def __cinit__(self, str origin not None=""):
        self.origin = origin
        self.subscriptions = ()
        self.idle = threading.Condition()
        self.base = 1

    def __dealloc__(self):
        cdef size_t i
        for i in range(self.capacity):
            _let_go(&self.records[i])
        free(self.records)

    @property
    def sequence(self):
        """The number of the last event."""
        cdef uint64_t last
        spin_lock(&self.lock)
        last = self.last
        spin_unlock(&self.lock)
        return last

    def subscribe(self, str pattern, callback, *, bint values=False, wants=None, tag=None):
        """Call ``callback(event)`` for each change that ``wants(op, key)``; for each of a key if that is None.

        With ``tag``, sets and deletes are those of entries that carry it, whatever their keys.
        """
        cdef Subscription s = Subscription.__new__(Subscription, self)
        if not callable(callback):
            raise TypeError(f"a listener must be callable, not {type(callback).__name__}")
        s.pattern = pattern
        s.values = values
        s.callback = callback
        s.wants = wants
        if tag is not None:
            tag = str.__str__(tag)
            s.label = tag if self.spelling is None else self.spelling(tag)
        with cython.critical_section(self):
            self.listen(self.subscriptions + (s,))
        return s

    cdef int listen(self, tuple subscriptions) except -1:
        """REQUIRES: the critical section."""
        cdef Subscription s
        cdef bint by_tag = False
        self.subscriptions = subscriptions
        for s in subscriptions:
            by_tag = by_tag or s.label is not None
        flag_put(self.active, len(subscriptions) > 0)
        flag_put(self.by_tag, by_tag)
        return 0

    cdef uint64_t reserve(self, uint64_t n) noexcept nogil:
        cdef uint64_t first
        spin_lock(&self.lock)
        first = self.last + 1
        self.last += n
        spin_unlock(&self.lock)
        return first

    cdef bint place(self, uint64_t seq) noexcept:
        """Make room up to ``seq``; False: no memory. REQUIRES: the lock. Nothing here may run Python code."""
        cdef size_t need = <size_t>(seq - self.base + 1)
        cdef size_t size, i
        cdef Record* grown
        if need > self.capacity:
            size = max(self.capacity * 2, 64)
            while size < need:
                size *= 2
            grown = <Record*>calloc(size, sizeof(Record))
            if grown == NULL:
                return False
            for i in range(self.held):
                grown[i] = self.records[(self.head + i) & (self.capacity - 1)]
            free(self.records)
            self.records = grown
            self.capacity = size
            self.head = 0
        if need > self.held:
            self.held = need
        return True

    cdef int fill(self, uint64_t seq, Op op, Reason reason, object key, object value, Labels* labels) except -1:
        cdef Record* r
        cdef bint room, late
        spin_lock(&self.lock)
        late = seq < self.base          # reserved before a fork, by the parent: nobody waits for it here
        room = not late and self.place(seq)
        if not room:
            spin_unlock(&self.lock)
            labels_free(labels)
            if late:
                return 0
            raise MemoryError()
        r = &self.records[(self.head + <size_t>(seq - self.base)) & (self.capacity - 1)]
        r.key = <PyObject*>key
        r.value = <PyObject*>value
        Py_XINCREF(r.key)
        Py_XINCREF(r.value)
        r.labels = labels
        r.time = d43_wall_ns()
        r.op = op
        r.reason = reason
        r.state = FILLED
        spin_unlock(&self.lock)
        return 0

    cdef int cancel(self, uint64_t seq, uint64_t n) except -1:
        """Give up numbers that were reserved for a change that failed, or that cannot be told of."""
        cdef Record* r
        cdef uint64_t i
        cdef bint room = True
        spin_lock(&self.lock)
        for i in range(max(seq, self.base), seq + n):
            room = room and self.place(i)
            if room:
                r = &self.records[(self.head + <size_t>(i - self.base)) & (self.capacity - 1)]
                r.state = r.state or CANCELLED
        spin_unlock(&self.lock)
        if not room:
            raise MemoryError()
        return 0

    cdef int push(self, Op op, Reason reason, PyObject* key, PyObject* value, Labels* labels) except -1:
        return self.fill(self.reserve(1), op, reason, <object>key, None if value == NULL else <object>value, labels)

    cdef bint next(self, Record* r, uint64_t* seq) noexcept:
        """Take out the next record that is due. False: there is none, and this thread delivers no more.

        Both in one step: what is pushed later is delivered by whoever pushed it.
        """
        cdef bint due
        spin_lock(&self.lock)
        due = self.held and self.records[self.head].state != RESERVED
        if due:
            r[0] = self.records[self.head]
            memset(&self.records[self.head], 0, sizeof(Record))
            self.head = (self.head + 1) & (self.capacity - 1)
            self.held -= 1
            seq[0] = self.base
            self.base += 1
        else:
            self.drainer = 0
        spin_unlock(&self.lock)
        return due

    cdef bint passed(self, uint64_t seq) noexcept:
        """Whether the record with this number was delivered."""
        cdef bint yes
        spin_lock(&self.lock)
        yes = self.base > seq
        spin_unlock(&self.lock)
        return yes

    cpdef drain(self):
        """Deliver what is due, unless another thread, or a caller further up in this one, is doing so."""
        cdef Record r
        cdef object event, key, value
        cdef uint64_t seq
        cdef Subscription s
        cdef tuple hearers, labels
        cdef bint mine
        spin_lock(&self.lock)
        mine = self.drainer == 0 and self.held      # whoever fills a place drains after it
        if mine:
            self.drainer = PyThread_get_thread_ident()
        spin_unlock(&self.lock)
        if not mine:
            return
        try:
            while self.next(&r, &seq):
                if r.state == CANCELLED:
                    continue
                key = <object>r.key
                value = <object>r.value
                labels = labels_tuple(r.labels)
                _let_go(&r)
                event = Event(seq, OPS[r.op], key, REASONS[r.reason], self.origin, r.time / 1e9)
                with cython.critical_section(self):
                    hearers = self.subscriptions
                for s in hearers:
                    if s.label is not None and r.op <= OP_DELETE:
                        if s.label not in labels:
                            continue
                    elif r.op == OP_INVALIDATE if s.wants is None else not s.wants(OPS[r.op], key):
                        continue
                    try:
                        s.callback(event._replace(value=value) if s.values else event)
                    except BaseException as error:
                        if not isinstance(error, Exception):
                            raise
                        from door43fast.events import report
                        report(s, event, error)
            mine = False
        finally:
            if mine:        # it was broken off
                spin_lock(&self.lock)
                self.drainer = 0
                spin_unlock(&self.lock)
            idle = self.idle        # a fork meanwhile makes another
            with idle:
                idle.notify_all()

    def flush(self):
        """Return when every listener has had what happened before this call; inside a listener, at once."""
        cdef uint64_t upto
        cdef unsigned long drainer
        spin_lock(&self.lock)
        upto = self.last
        drainer = self.drainer
        spin_unlock(&self.lock)
        if drainer == PyThread_get_thread_ident():
            return
        while not self.passed(upto):
            self.drain()
            if self.passed(upto):
                return
            idle = self.idle
            with idle:
                spin_lock(&self.lock)
                drainer = self.drainer
                spin_unlock(&self.lock)
                if drainer and not self.passed(upto):
                    idle.wait(0.05)


cdef void _let_go(Record* r) noexcept:
    """Drop what a record holds."""
    Py_XDECREF(r.key)
    Py_XDECREF(r.value)
    labels_free(r.labels)


cdef int _orphan(EventQueue queue) except -1:
    """In a forked child: what was due is the parent's to deliver, and who was delivering it is not here."""
    cdef Record* records = queue.records
    cdef size_t capacity = queue.capacity
    cdef size_t i
    cdef PyObject* section = <PyObject*>queue
    queue.lock = 0
    with nogil:
        d43_section_free(section)
    if queue.drainer == PyThread_get_thread_ident():    # the fork was made by a listener, which goes on here
        return 0
    queue.records = NULL
    queue.capacity = queue.head = queue.held = 0
    queue.base = queue.last + 1
    queue.drainer = 0
    queue.idle = threading.Condition()
    for i in range(capacity):
        _let_go(&records[i])
    free(records)
    return 0


cdef object WATCHED = weakref.WeakSet()     # stores with a queue of events


def _after_fork():
    cdef Core store
    for store in list(WATCHED):
        _orphan(store.events)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


cdef class Core:
    """The base of every native store."""

    def __cinit__(self, *_, **__):
        self.flights = {}

    def __dealloc__(self):
        free(self.gauges)

    def _served_stale(self):
        """A value past its time was served, while another computes anew."""
        self.stales += 1

    @property
    def closed(self):
        """True after :meth:`close`."""
        with cython.critical_section(self):
            return self.closed

    @property
    def _flights(self):
        return self.flights

    @property
    def _events(self):
        cdef EventQueue events
        with cython.critical_section(self):
            events = self.events
        if events is not None:
            return events
        events = EventQueue(f"{type(self).__name__}-{id(self):x}")
        events.spelling = self.spelling()
        WATCHED.add(self)
        with cython.critical_section(self):
            if self.events is None:         # another thread may have been faster
                self.events = events
            return self.events

    cdef object spelling(self):
        return None

    cdef int void_flight(self, object key) except -1:
        """A set or delete of ``key``: the result of a computation under way must not be stored over it."""
        cdef Flight flight = self.flights.get(key)
        if flight is not None:
            flag_put(flight.voided, True)
        return 0

    cdef int void_flights(self) except -1:
        cdef Flight flight
        for flight in list(self.flights.values()):
            flag_put(flight.voided, True)
        return 0
