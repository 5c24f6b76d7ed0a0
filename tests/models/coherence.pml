/* Several processes, each with a memory tier over one directory of LMDB: how a tier learns of what others
   have committed (``renew`` in native/coherence.pyx; ``foreign_epoch``, ``account``, ``open_write`` and
   ``close_write`` in native/lmdb_records.pyx; what they look at in native/shown.pxd).

   A commit first shows its number in the head page (``head``), then readers see it (``seen_by_readers``), then the lock
   for writers is free again. A process may die in between; the next writer then makes visible what the head page tells.
   A commit that fails gives back the lock before whoever made it is told so, and another may take its number.
   Each commit writes one key and one row of the journal, so its number is also that of the row, and the value that it
   stores. Every thread's steps may be mixed with those of any other: more than the GIL lets happen.

   Holds in every run: a read returns nothing older than the newest write of its key that had returned, in any
   process, when the read was called. Switches that take one rule away are named in test_models.py. */

#ifndef READERS
#define READERS 1
#endif
#ifndef READS
#define READS 2
#endif
#ifndef OURS
#define OURS 1              /* writes of a second thread of the reader's process */
#endif
#ifndef THEIRS
#define THEIRS 1            /* writes, and as many reads, of a second process with a tier */
#endif
#ifndef PLAIN
#define PLAIN 1             /* writes of a process without a tier, which may be killed */
#endif
#ifndef KEPT
#define KEPT 255            /* rows that the journal keeps */
#endif

#define KEYS 2
#define TIERS 2
#define AT(p, k) ((p) * KEYS + (k))
#ifndef COMMITS
#define COMMITS 8
#endif

/* The directory. */
byte head = 1, seen_by_readers = 1;
byte data[KEYS] = 1;
byte changed[COMMITS];      /* the key of each commit, */
byte origin[COMMITS];       /* and whose it is */
byte writer;                /* who has the lock, 0 for nobody */
bit dead;                   /* whose owner was killed */

/* What each store knows: RecordEngine's, */
byte known[TIERS] = 1;
byte epoch[TIERS];
byte pending[TIERS];        /* the number of a commit that may still fail */
byte own_first[TIERS], own_last[TIERS];
/* and the tier's above it. */
byte noted[TIERS];          /* ``seen`` */
byte followed[TIERS] = 1;
byte fast[TIERS * KEYS];
byte stripe[TIERS * KEYS];
byte era[TIERS];            /* ``tickets.epoch`` */

byte floor[KEYS] = 1;       /* the newest write of each key that has returned */

#define SAME (want_fast[0] == fast[0] && want_fast[1] == fast[1] && want_fast[2] == fast[2] && \
    want_fast[3] == fast[3] && want_slow[0] == data[0] && want_slow[1] == data[1])
#include "events.pml"

#define GREATER(a, b) ((a) > (b) -> (a) : (b))
#define GOOD(p, k) (stripe[AT(p, k)] == count && era[p] == age)

inline take(p, k) {
    d_step { count = stripe[AT(p, k)]; age = era[p] }
}

#ifdef BELIEVE_HEAD
#define SHOWN head
#else
#define SHOWN seen_by_readers
#endif

/* account: for all up to ``n``, which readers see. A number that is pending is waited for, until it is said what became
   of it, or for as long as one likes. The epoch is raised before ``n`` counts as known. */
inline account(p, n) {
#ifdef TRUST_PENDING
    known[p] = (pending[p] == n -> GREATER(known[p], n) : known[p]);
#else
    if
    :: pending[p] != n || n <= known[p]
    :: pending[p] == n && n > known[p]          /* patience is over */
    fi;
#endif
    if
    :: n <= known[p]
    :: else ->
#ifdef KNOW_FIRST
        known[p] = GREATER(known[p], n);
#endif
#if !defined(NO_NEWS) && !defined(RAISE_EARLY)
        epoch[p]++;
#endif
        known[p] = GREATER(known[p], n)
    fi
}

/* foreign_epoch: ``now`` grows if there is anything that this store has not accounted for. */
inline ask(p) {
#ifdef RAISE_EARLY
    epoch[p] = (SHOWN > known[p] -> epoch[p] + 1 : epoch[p]);
#endif
    newest = SHOWN;
    if
    :: newest <= known[p]
    :: newest > known[p] -> account(p, newest)
    :: newest > known[p] -> epoch[p]++          /* LMDB must be asked, and cannot be: the next one asks again */
    fi;
    now = epoch[p]
}

inline renew(p) {
    ask(p);
    if
    :: now == noted[p]
    :: else ->
#ifdef JOURNAL
        since = followed[p];
        since = (own_first[p] &&
#ifndef SKIP_ALL
            own_first[p] <= since + 1 &&
#endif
            own_last[p] > since -> own_last[p] : since);
        atomic {
            last = seen_by_readers;
            i = since + 1;
            do
            :: i <= last -> mask = (origin[i] == p -> mask : mask | (1 << changed[i])); i++
            :: else -> break
            od;
#ifndef PRUNED_UNSEEN
            if
            :: last > KEPT && last - KEPT > since -> mask = 7       /* rows in between are gone */
            :: else
            fi;
#else
            mask = (last > KEPT && last - KEPT > since -> 1 << changed[last] : mask);
#endif
            i = 0; since = 0
        }
        atomic {
#ifndef KEEP_TICKETS
            stripe[AT(p, 0)] = stripe[AT(p, 0)] + (mask & 1);
            stripe[AT(p, 1)] = stripe[AT(p, 1)] + (mask & 2) / 2;
            era[p] = era[p] + mask / 4;
#endif
            fast[AT(p, 0)] = (mask & 1 -> 0 : fast[AT(p, 0)]);
            fast[AT(p, 1)] = (mask & 2 -> 0 : fast[AT(p, 1)]);
            mask = 0
        }
#else
        atomic {
#ifndef KEEP_TICKETS
            era[p]++;
#endif
            fast[AT(p, 0)] = 0; fast[AT(p, 1)] = 0
        }
#endif
#ifdef NOTE_LAST
        now = epoch[p];
#endif
        atomic {
            followed[p] = GREATER(followed[p], last);
            noted[p] = GREATER(noted[p], now);
            last = 0
        }
    fi;
    atomic { now = 0; newest = 0 }
}

inline read(p, k) {
    atomic { asked = floor[k]; EVENT(CALL_GET, k, 0) }
    newest = SHOWN;
    if
    :: newest <= known[p] ->
        if
        :: atomic { epoch[p] == noted[p] -> value = fast[AT(p, k)]; newest = 0 }     /* quiet */
        :: epoch[p] != noted[p] -> renew(p); value = fast[AT(p, k)]
        fi
    :: else -> renew(p); value = fast[AT(p, k)]
    fi;
    if
    :: value
    :: else ->
        take(p, k);
        value = data[k];
        WEIGHED;
        atomic {
            if
            :: GOOD(p, k) -> fast[AT(p, k)] = value
            :: true
            fi;
            count = 0; age = 0
        }
    fi;
    atomic {
        assert(value >= asked);
        EVENT(RETURN, k, value);
        value = 0; asked = 0
    }
}

/* A process begins a commit, or mends what a killed one has left. */
inline lock() {
    atomic {
        !writer || dead ->
        if
        :: dead && head > seen_by_readers -> seen_by_readers = head; data[changed[head]] = head
        :: else
        fi;
        writer = me + 1; dead = 0;
        number = seen_by_readers + 1
    }
}

/* The directory takes a write, or fails: ``number`` is 0 then. */
inline commit(p, k) {
    lock();
    if
    :: known[p] < number - 1 -> account(p, number - 1)
    :: else
    fi;
    pending[p] = number;
#ifdef KNOWN_EARLY
    known[p] = GREATER(known[p], number);
#endif
    if
    :: atomic { head = number; changed[number] = k; origin[number] = p }
        atomic { seen_by_readers = number; data[k] = number }
        writer = 0;
        known[p] = GREATER(known[p], number);
        atomic {
            own_first[p] = (own_last[p] + 1 == number && own_first[p] -> own_first[p] : number);
            own_last[p] = number
        }
#ifdef FAILING
    :: writer = 0;
        atomic {
#ifdef KNOWN_EARLY
            known[p] = number - 1; epoch[p]++;
#endif
            pending[p] = (pending[p] == number -> 0 : pending[p]);
            number = 0
        }
#endif
    fi
}

inline write(p, k) {
    EVENT(CALL_SET, k, 0);
    d_step { stripe[AT(p, k)]++; count = stripe[AT(p, k)]; age = era[p] }
    EVENT(ASK_SET, k, 0);
    commit(p, k);
    EVENT(DONE_SET, k, 0);
    WEIGHED;
    atomic {
        value = GOOD(p, k);
        stripe[AT(p, k)]++;
        if
        :: value && number -> fast[AT(p, k)] = number
        :: fast[AT(p, k)] = 0
        fi
    }
    atomic {
        floor[k] = GREATER(floor[k], number); EVENT(RETURN, k, 0);
        value = 0; count = 0; age = 0; number = 0
    }
}

inline select_key() {
    if
    :: key = 0
    :: key = 1
    fi
}

proctype thread(byte me; byte p; byte reads; byte writes) TURN {
    byte asked, newest, now, since, last, i, mask, value, count, age, number;
    bit key;
    do
    :: reads > 0 -> reads--; select_key(); read(p, key); key = 0
    :: writes > 0 -> writes--; select_key(); write(p, key); key = 0
    :: reads == 0 && writes == 0 -> break
    od
}

/* Another process that writes without a tier, and may be killed at any step of a commit. */
proctype plain(byte me; byte writes) {
    byte number;
    bit key;
    do
    :: writes > 0 -> writes--; select_key();
        lock();
        if
        :: dead = 1; break
        :: atomic { head = number; changed[number] = key; origin[number] = TIERS }
        fi;
        if
        :: dead = 1; break
        :: atomic { seen_by_readers = number; data[key] = number }
        fi;
        writer = 0;
        atomic { floor[key] = GREATER(floor[key], number); number = 0; key = 0 }
    :: writes == 0 -> break
    od
}

#ifndef REPLAY
init {
    byte i;
    atomic {
        do :: i < READERS -> run thread(i, 0, READS, 0); i++ :: else -> break od;
        if :: OURS -> run thread(READERS, 0, 0, OURS) :: else fi;
        if :: THEIRS -> run thread(READERS + 1, 1, THEIRS, THEIRS) :: else fi;
        if :: PLAIN -> run plain(READERS + 2, PLAIN) :: else fi;
        i = 0
    }
}
#endif
