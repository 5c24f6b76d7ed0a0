/* One process: a memory tier over a slower store, and the tickets that rule what goes up (native/tickets.pxd,
   stack.pyx).

   A step is what runs without Python code in between; between two steps any other thread may run. The slow store takes
   each call at one moment. It numbers the writes of a key; what is stored is written here as 2 * number + 1, and as
   2 * number where the key is not there. So 0 in the fast tier says that it does not hold the key.

   Holds in every run: a read returns nothing older than the newest write of its key that had returned when the read
   was called (``asked``); while no write is under way, the fast tier holds of each key what the slow one holds, or
   nothing (``agree``). Nothing waits for ever: every run ends with all threads at their ends.

   Switches that take one rule away, for which a violation must be found, are named in test_models.py. */

#ifndef READERS
#define READERS 2
#endif
#ifndef READS
#define READS 2
#endif
#ifndef WRITERS
#define WRITERS 2
#endif
#ifndef WRITES
#define WRITES 1
#endif
#ifndef EVICTIONS
#define EVICTIONS 0
#endif

#define KEYS 2
#ifdef APART
#define STRIPE(k) (k)
#else
#define STRIPE(k) 0         /* both keys share a stripe */
#endif

#define NUMBER(v) ((v) / 2)
#define THERE(v) ((v) % 2)

byte fast[KEYS];
byte slow[KEYS];
byte floor[KEYS];           /* the newest write of each key that has returned */
byte stripe[KEYS];
byte epoch;
byte under_way;             /* writes between their call and their return */
#ifdef ORDERED
byte newest[KEYS];          /* the newest that any read has returned */
#endif

#define SAME (want_fast[0] == fast[0] && want_fast[1] == fast[1] && want_slow[0] == slow[0] && want_slow[1] == slow[1])
#include "events.pml"

#ifdef NO_TICKET
#define GOOD(k, count, era) true
#else
#ifdef NO_EPOCH
#define GOOD(k, count, era) (stripe[STRIPE(k)] == count)
#else
#define GOOD(k, count, era) (stripe[STRIPE(k)] == count && epoch == era)
#endif
#endif

inline agree() {
    assert(under_way || ((!fast[0] || fast[0] == slow[0]) && (!fast[1] || fast[1] == slow[1])))
}

inline take(k) {
    count = stripe[STRIPE(k)]; era = epoch
}

inline raise(k) {
    stripe[STRIPE(k)]++
}

/* The slow store takes a write, or fails: then nobody knows whether it has taken it. */
inline settle() {
    if
    :: takes = 1; fails = 0
#ifndef REPLAY
    :: takes = 1; fails = 1
    :: takes = 0; fails = 1
#endif
    fi
}

inline forgive() {
    takes = 0; fails = 0
}

inline store(k, there, number) {
    slow[k] = (takes -> 2 * (NUMBER(slow[k]) + 1) + there : slow[k]);
    number = (fails -> 0 : NUMBER(slow[k]))
}

inline read(k) {
    atomic { asked = floor[k];
#ifdef ORDERED
        asked = (newest[k] > asked -> newest[k] : asked);
#endif
        EVENT(CALL_GET, k, 0) }
    atomic { value = fast[k]; hit = (value != 0) }
    if
    :: hit
    :: !hit ->
#ifdef LATE_TICKET
        value = slow[k];
        take(k);
#else
        d_step { take(k) }
        EVENT_BELOW(ASK_GET, k, 0);
        atomic { value = slow[k]; EVENT_BELOW(DONE_GET, k, value) }
#endif
        WEIGHED;
#ifdef GAP
        if
        :: THERE(value) && GOOD(k, count, era) -> fast[k] = value
        :: true
        fi
#else
        atomic {
            if
            :: THERE(value) && GOOD(k, count, era) -> fast[k] = value
            :: true             /* too large, without a deadline that could be told, or its ticket is void */
            fi;
            agree()
        }
#endif
    fi;
    atomic {
        assert(NUMBER(value) >= asked);
#ifdef ORDERED
        newest[k] = (NUMBER(value) > newest[k] -> NUMBER(value) : newest[k]);
#endif
        EVENT(RETURN, k, value);
        value = 0; asked = 0; count = 0; era = 0; hit = 0
    }
}

inline returned(k) {
    floor[k] = (wrote > floor[k] -> wrote : floor[k]);
    wrote = 0
}

inline write(k, there) {
    atomic { under_way++; EVENT((there -> CALL_SET : CALL_DELETE), k, 0) }
    d_step {
#ifndef NO_BEGIN
        raise(k);
#endif
        take(k)
    }
    EVENT((there -> ASK_SET : ASK_DELETE), k, 0);
    atomic {
        settle(); store(k, there, wrote); value = slow[k]; forgive();
        EVENT((there -> DONE_SET : DONE_DELETE), k, 0)
    }
    WEIGHED;
    atomic {
#ifdef NO_ALONE
        hit = 1;
#else
        hit = GOOD(k, count, era);
#endif
#ifndef NO_END
        raise(k);
#endif
        if
        :: hit && there && wrote -> fast[k] = value
#ifdef KEEP
        :: !hit && there && wrote
        :: hit || !there || !wrote -> fast[k] = 0
#else
        :: fast[k] = 0          /* not alone, failed, a delete, or a value that only the slow store may hold */
#endif
        fi
    }
    atomic {
        under_way--; returned(k); agree(); EVENT(RETURN, k, 0);
        value = 0; count = 0; era = 0; hit = 0
    }
}

/* A batch of both keys: one ticket for their stripe, one call of the slow store, then each key on its own. */
inline write_both(there) {
    atomic { under_way++; era = epoch; EVENT((there -> CALL_SETS : CALL_DELETES), BOTH, 0) }
    d_step { raise(0); count = stripe[0] }
#ifdef APART
    d_step { raise(1); other = stripe[1] }
#endif
    EVENT((there -> ASK_SETS : ASK_DELETES), BOTH, 0);
    atomic {
        settle(); store(0, there, wrote); store(1, there, many); value = slow[0]; second = slow[1]; forgive();
        EVENT((there -> DONE_SETS : DONE_DELETES), BOTH, 0)
    }
    atomic {                    /* tickets_end: what is held from here on is the stripe after our own raise, or 0 */
        hit = (there && wrote && stripe[0] == count); raise(0); count = (hit -> stripe[0] : 0);
#ifdef APART
        hit = (there && wrote && stripe[1] == other); raise(1); other = (hit -> stripe[1] : 0);
#else
        other = count;
#endif
        hit = 0
    }
    WEIGHED;
    fill(0, count, value);
    WEIGHED;
    fill(1, other, second);
    atomic {
        under_way--; returned(0); wrote = many; returned(1); agree(); EVENT(RETURN, BOTH, 0);
        value = 0; count = 0; era = 0; second = 0; other = 0; many = 0
    }
}

inline fill(k, held, what) {
    atomic {
        if
#ifdef BLIND_FILL
        :: held -> fast[k] = what
#else
        :: held && stripe[STRIPE(k)] == held && epoch == era -> fast[k] = what
#endif
        :: fast[k] = 0
        fi
    }
}

inline clear() {
    atomic { under_way++; EVENT(CALL_CLEAR, BOTH, 0) }
    epoch++;
    EVENT(ASK_CLEAR, BOTH, 0);
    atomic {
        settle(); store(0, 0, wrote); store(1, 0, many); forgive();
        EVENT(DONE_CLEAR, BOTH, 0)
    }
    atomic {
#ifndef EPOCH_ONCE
        epoch++;
#endif
        fast[0] = 0; fast[1] = 0
    }
    atomic { under_way--; returned(0); wrote = many; returned(1); agree(); EVENT(RETURN, BOTH, 0); many = 0 }
}

inline select_key() {
    if
    :: key = 0
    :: key = 1
    fi
}

proctype thread(byte reads; byte writes) TURN {
    byte value, second, asked, count, other, era, wrote, many;
    bit hit, key, takes, fails;
    do
    :: reads > 0 -> reads--; select_key(); read(key); key = 0
    :: writes > 0 -> writes--; select_key();
        if
        :: write(key, 1)
        :: write(key, 0)
        :: key == 0 -> write_both(1)
        :: key == 0 -> write_both(0)
        :: key == 0 -> clear()
        fi;
        key = 0
    :: reads == 0 && writes == 0 -> break
    od
}

#ifndef REPLAY
proctype evict(byte left) {
    do
    :: left > 0 -> left--; if :: fast[0] = 0 :: fast[1] = 0 fi
    :: break
    od
}

init {
    byte i;
    atomic {
        slow[0] = 3; floor[0] = 1;
        do :: i < READERS -> run thread(READS, 0); i++ :: else -> break od;
        do :: i < READERS + WRITERS -> run thread(0, WRITES); i++ :: else -> break od;
        if :: EVICTIONS -> run evict(EVICTIONS) :: else fi;
        i = 0
    }
}
#endif
