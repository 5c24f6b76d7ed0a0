/* Write-back: the buffer of door43fast/layers/buffer.py, backlog.py and flusher.py over a store that fails.

   ``place`` is the order in which keys became dirty, 0 for one that is not; ``kept`` the last write of a dirty key. Of
   the store below a call is made, or not and fails, or made and fails, or fails and is made later, if ever (``late``).
   Writes of a key are numbered; one that is stored is 2 * number + 1, a delete 2 * number.

   A kill may come after any step, and leaves what the store below holds then. So what must hold of that after a kill
   is asked whenever it changes. Holds in every run:
   - a read returns nothing older than the newest write of its key that had returned when the read was called;
   - when ``flush`` returns, all that had returned when it was called is below (``flushed``);
   - what is below never becomes older: a write that comes late undoes nothing, a delete stays one;
   - what is written below comes after all that became dirty before it: a prefix of the order of flushes;
   - a delete says rightly whether the key was there.

   Switches that take one rule away are named in test_models.py. */

#ifndef READS
#define READS 1
#endif
#ifndef WRITERS
#define WRITERS 2
#endif
#ifndef WRITES
#define WRITES 2
#endif
#ifndef FLUSHES
#define FLUSHES 1
#endif
#ifndef CHANGES
#define CHANGES 0           /* writes that go straight below, as incr does */
#endif
#ifndef ROOM
#define ROOM 2
#endif

#define KEYS 2
#define NUMBER(v) ((v) / 2)
#define THERE(v) ((v) % 2)
#define GREATER(a, b) ((a) > (b) -> (a) : (b))
#define DIRTY ((place[0] != 0) + (place[1] != 0))

byte slow[KEYS];
byte late[KEYS];            /* what a call below may still write, 0 for nothing */

/* The backlog; every step that changes it has its lock. */
byte place[KEYS];
byte kept[KEYS];
byte seq;
byte news;
byte going[KEYS];
bit turn;                   /* somebody writes below out of the backlog */
bit flying[KEYS];

byte made[KEYS];            /* number of the newest write of each key, */
byte first[KEYS];           /* of the one that made it dirty, */
byte floor[KEYS];           /* and of the newest that has returned */
byte busy;                  /* threads that may still write */

#ifdef NO_GOING
#define PASSES(k) 1
#else
#define PASSES(k) (going[k] == 0)
#endif

inline put(k, there) {
    made[k]++;
    if
    :: place[k]
    :: else -> seq++; place[k] = seq; first[k] = made[k]
    fi;
    kept[k] = 2 * made[k] + there
}

/* The store below has it now. */
inline stick(k, v) {
    assert(NUMBER(v) >= NUMBER(slow[k]));
    slow[k] = v
}

#define IN_ORDER(k, other) (!place[other] || place[other] > place[k] || NUMBER(slow[other]) >= first[other])

/* One call below that writes the keys of ``mask``, as they were taken; ``done`` says whether it has answered. */
inline call_below(mask) {
    if
#ifndef IGNORE_LATE
    :: late[0] || late[1] -> done = 0
    :: !late[0] && !late[1] ->
#else
    :: true ->
#endif
        if
        :: atomic { write_run(mask); done = 1 }
        :: atomic { write_run(mask); done = 0 }
        :: done = 0
        :: atomic {
                !late[0] && !late[1] ->
                late[0] = (mask & 1 -> taken[0] : 0); late[1] = (mask & 2 -> taken[1] : 0);
                done = 0
            }
        fi
    fi
}

inline write_run(mask) {
    if
    :: (mask & 1) && (mask & 2) -> stick(0, taken[0]); stick(1, taken[1])
    :: mask == 1 -> assert(jumps || IN_ORDER(0, 1)); stick(0, taken[0])
    :: mask == 2 -> assert(jumps || IN_ORDER(1, 0)); stick(1, taken[1])
    fi
}

/* These are below now; what was written again meanwhile is dirty anew, behind all others. */
inline written(k) {
    if
    :: place[k] && kept[k] == taken[k] -> place[k] = 0; kept[k] = 0; first[k] = 0
#ifdef DROP_ALWAYS
    :: place[k] && kept[k] != taken[k] -> place[k] = 0; kept[k] = 0; first[k] = 0
#else
    :: place[k] && kept[k] != taken[k] -> seq++; place[k] = seq; first[k] = NUMBER(taken[k]) + 1
#endif
    :: else
    fi;
    taken[k] = 0; flying[k] = 0
}

/* Take what is dirty of the keys of ``which`` up to write ``upto`` and write it below, as few calls as its kinds allow.
   ``done`` is 0 where the store below has failed. */
inline write_batch(which, upto) {
    d_step {
        taken[0] = (((which) & 1) && place[0] && place[0] <= upto && !flying[0] -> kept[0] : 0);
        taken[1] = (((which) & 2) && place[1] && place[1] <= upto && !flying[1] -> kept[1] : 0);
        done = 1;
        part = (taken[0] != 0) + 2 * (taken[1] != 0);
        if
        :: part == 3 && THERE(taken[0]) != THERE(taken[1]) ->
            part = (place[0] < place[1] -> 1 : 2)
#ifdef ANY_ORDER
            ; part = 3 - part
#endif
        :: else
        fi;
#ifdef ANY_ORDER
        part = (part == 3 -> 2 : part);
#endif
        taken[0] = (part & 1 -> taken[0] : 0); taken[1] = (part & 2 -> taken[1] : 0);
        flying[0] = (part & 1 -> 1 : flying[0]); flying[1] = (part & 2 -> 1 : flying[1]);
#ifdef DROP_EARLY
        place[0] = (part & 1 -> 0 : place[0]); place[1] = (part & 2 -> 0 : place[1])
#endif
    }
    if
    :: part ->
        call_below(part);
        atomic {
            if
            :: done ->
                if :: part & 1 -> written(0) :: else fi;
                if :: part & 2 -> written(1) :: else fi;
                news++
            :: !done ->
                if :: part & 1 -> taken[0] = 0; flying[0] = 0 :: else fi;
                if :: part & 2 -> taken[1] = 0; flying[1] = 0 :: else fi
            fi
        }
    :: !part -> done = 2         /* nothing left */
    fi;
    part = 0
}

inline read(k) {
    atomic { asked = floor[k]; value = 0 }
#ifdef BELOW_FIRST
    value = slow[k];
    atomic { value = (place[k] -> kept[k] : value) }
#else
    atomic { value = (place[k] -> kept[k] : 255) }
    if
    :: value == 255 -> value = slow[k]
    :: value != 255
    fi;
#endif
    atomic { assert(NUMBER(value) >= asked); value = 0; asked = 0 }
}

inline returned(k, number) {
    floor[k] = GREATER(floor[k], number); number = 0
}

inline set(k) {
    if
    :: atomic { (place[k] || DIRTY < ROOM) && PASSES(k) -> put(k, 1); mine = made[k] }
        atomic { returned(k, mine) }
    :: atomic { going[k] > 0 -> skip }
        change(k)
    :: atomic { !place[k] && DIRTY >= ROOM -> skip }       /* it has waited in vain, and nothing has changed */
    fi
}

/* It looks at what is dirty, asks below for the rest, and looks again. ``value`` is whether it is there below,
   UNASKED where it did not ask, AGAIN where it must not trust that: then it goes straight below. */
#define UNASKED 2
#define AGAIN 3

inline delete(k) {
    atomic { was = news; value = (place[k] -> UNASKED : 0) }
    if
    :: !value -> value = THERE(slow[k])
    :: else
    fi;
    atomic {
        value = (!PASSES(k) || (value < UNASKED && place[k])
#ifndef NO_NEWS
            || (value < UNASKED && was != news)
#endif
#ifndef FLUSHED_UNSEEN
            || (value == UNASKED && !place[k])
#endif
            -> AGAIN : value);
        if
        :: value == AGAIN
        :: else ->
            value = (place[k] -> THERE(kept[k]) : value % UNASKED);
            assert(value == THERE((place[k] -> kept[k] : slow[k])));
            if
            :: !value
#ifdef NO_TOMBSTONE
            :: value && place[k] -> made[k]++; place[k] = 0; kept[k] = 0; first[k] = 0
            :: value && !place[k] -> put(k, 0)
#else
            :: value -> put(k, 0)
#endif
            fi;
            mine = made[k]
        fi;
        was = 0
    }
    if
    :: value == AGAIN -> change(k)
    :: else -> atomic { returned(k, mine) }
    fi;
    value = 0
}

/* A write that goes straight below: what is dirty of its key is flushed first. */
inline change(k) {
    going[k]++;
    done = 2;
    if
#ifndef PASS_BY
    :: place[k] ->
        atomic { !turn -> turn = 1; jumps = 1 }
        write_batch(1 << k, 255);
        atomic { turn = 0; jumps = 0 }
    :: !place[k]
#else
    :: true
#endif
    fi;
    if
    :: done ->
        if
        :: atomic { made[k]++; stick(k, 2 * made[k] + 1); mine = made[k] }
        :: atomic { made[k]++; stick(k, 2 * made[k] + 1); mine = 0 }
        :: true
        fi
    :: !done                    /* it fails, and has changed nothing */
    fi;
    atomic { going[k]--; news++; returned(k, mine); done = 0 }
}

inline flush() {
    atomic { before[0] = floor[0]; before[1] = floor[1] }
#ifndef NO_TURN
    atomic { !turn -> turn = 1 }
#endif
    limit = seq;
    do
    :: write_batch(3, limit);
        if
        :: done == 1
        :: done != 1 -> break
        fi
    od;
#ifndef NO_TURN
    turn = 0;
#endif
    atomic {
        assert(done == 0 || (NUMBER(slow[0]) >= before[0] && NUMBER(slow[1]) >= before[1]));
        before[0] = 0; before[1] = 0; done = 0; limit = 0
    }
}

inline select_key() {
    if
    :: key = 0
    :: key = 1
    fi
}

proctype reader(byte reads) {
    byte value, asked;
    bit key;
    do
    :: reads > 0 -> reads--; select_key(); read(key); key = 0
    :: reads == 0 -> break
    od
}

proctype writer(byte writes; byte changes; byte flushes) {
    byte value, mine, was, limit, done, part, taken[KEYS], before[KEYS];
    bit key, jumps;
    do
    :: writes > 0 -> writes--; select_key();
        if
        :: set(key)
        :: delete(key)
        fi;
        key = 0
    :: changes > 0 -> changes--; select_key(); change(key); key = 0
    :: flushes > 0 -> flushes--; flush()
    :: !writes && !changes && !flushes -> break
    od;
    busy--
}

/* The thread that flushes by itself, for as long as there is anything to do. */
proctype flusher() {
    byte limit, done, part, taken[KEYS];
    bit jumps;
    do
    :: atomic { DIRTY && !turn -> turn = 1; limit = seq }
        do
        :: write_batch(3, limit);
            if
            :: done == 1
            :: done != 1 -> break
            fi
        od;
        atomic { turn = 0; done = 0; limit = 0 }
    :: !busy && !DIRTY -> break
    od;
    assert(slow[0] / 2 >= floor[0] && slow[1] / 2 >= floor[1])
}

/* Late calls end, at some time, one way or the other. */
proctype below() {
end:
    do
    :: atomic {
            late[0] || late[1] ->
            if
            :: if :: late[0] -> stick(0, late[0]) :: else fi;
               if :: late[1] -> stick(1, late[1]) :: else fi
            :: true
            fi;
            late[0] = 0; late[1] = 0
        }
    od
}

init {
    byte i;
    atomic {
        slow[0] = 3; made[0] = 1; floor[0] = 1;
        busy = WRITERS + (FLUSHES > 0) + (CHANGES > 0);
        if :: READS -> run reader(READS) :: else fi;
        do :: i < WRITERS -> run writer(WRITES, 0, 0); i++ :: else -> break od;
        if :: FLUSHES -> run writer(0, 0, FLUSHES) :: else fi;
        if :: CHANGES -> run writer(0, CHANGES, 0) :: else fi;
        run flusher();
        run below();
        i = 0
    }
}
