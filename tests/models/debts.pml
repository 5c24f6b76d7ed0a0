/* Layers beside each other that hold the same, and what a layer owes: door43fast/layers/debts.py, several.py,
   writing.py and repair.py, of one key. Writes and repairs of it happen in its section (``held``), reads outside.

   A call of a layer succeeds; or is spared, so that it was not made; or fails, and was made, or not, or is made later,
   if ever (``late``). Writes are numbered in the order of their sections. A set and a delete are alike here: what a
   layer holds is the number of the write that it had last, 0 for nothing.

   Holds in every run: a read that is answered returns nothing older than the newest write that had returned when it was
   called, and nothing older than what a read before it had returned that met no write (``told``): so a write of which
   nobody knows whether it was made is then made for all, or for none. A layer that owes is brought up to date.

   Switches that take one rule away are named in test_models.py. */

#ifndef WRITERS
#define WRITERS 1
#endif
#ifndef WRITES
#define WRITES 2
#endif
#ifndef READERS
#define READERS 1
#endif
#ifndef READS
#define READS 2
#endif
#ifndef REPAIRS
#define REPAIRS 2           /* tries of the thread that repairs, the last one of which meets no failure */
#endif
#ifndef MAX_OWED
#define MAX_OWED 1          /* 0: a layer lapses with its first debt */
#endif

#define LAYERS 2
#define OTHER(l) (1 - (l))
#define GREATER(a, b) ((a) > (b) -> (a) : (b))

#define DONE 0              /* what came of a call */
#define SPARED 1
#define FAILED 2

byte store[LAYERS] = 1;
byte late[LAYERS];          /* the write that a late call may still make, plus 1; 0 for none */
byte owed[LAYERS];          /* ``since`` of the debt, 0 for none */
byte lapsed[LAYERS];
bit copying[LAYERS];
byte emptied[LAYERS];       /* how often it was, to be copied anew */
bit held;                   /* the section */

byte number = 1;            /* of the newest write that has begun */
byte floor = 1;             /* the newest write that has returned */
byte told = 1;
byte under_way;
byte busy;

#ifdef READ_ANY
#define OWES(l) false
#else
#define OWES(l) (owed[l] || lapsed[l])
#endif
#ifdef IGNORE_LATE
#define LATE(l) false
#else
#define LATE(l) (late[l] != 0)
#endif
#define TAKES(l) ((!lapsed[l] || copying[l]) && !(owed[l] && LATE(l)))

/* One call that writes ``v`` to layer ``l``; ``out`` says what came of it. */
inline call(l, v) {
    if
    :: atomic { store[l] = v; out = DONE }
    :: !calm -> out = SPARED
    :: !calm -> out = FAILED
    :: atomic { !calm -> store[l] = v; out = FAILED }
    :: atomic { !calm && !late[l] -> late[l] = (v) + 1; out = FAILED }
    fi
}

inline owe(l, since) {
#ifndef NO_DEBT
    if
    :: lapsed[l] && !copying[l]
    :: !(lapsed[l] && !copying[l]) && (owed[l] || MAX_OWED) -> owed[l] = (owed[l] -> owed[l] : since)
    :: !(lapsed[l] && !copying[l]) && !owed[l] && !MAX_OWED ->
        lapsed[l] = (lapsed[l] -> lapsed[l] : since); copying[l] = 0; owed[l] = 0
    fi
#else
    skip
#endif
}

/* Of layers that all owe, ``from`` is the one that lacks the fewest writes, LAYERS if something late may change it. */
#ifdef OLDEST_DEBT
#define FEWER(a, b) ((a) <= (b))
#else
#define FEWER(a, b) ((a) >= (b))
#endif
inline latest() {
    from = (lapsed[0] || (!lapsed[1] && !FEWER(owed[0], owed[1])) -> 1 : 0);
    from = ((lapsed[0] && lapsed[1]) || LATE(from) -> LAYERS : from)
}

inline write() {
    atomic { !held -> held = 1; number++; mine = number; under_way++ }
    if
    :: TAKES(0) -> call(0, mine); first = out
    :: !TAKES(0) -> first = SPARED
    fi;
    if
    :: TAKES(1) -> call(1, mine); second = out
    :: !TAKES(1) -> second = SPARED
    fi;
    atomic {
#ifndef OWN_WORD
        /* the word of a layer that has lapsed counts only beside that of one that has not */
        if
        :: !(first == DONE && !lapsed[0]) && !(second == DONE && !lapsed[1]) ->
            first = (first == DONE -> FAILED : first); second = (second == DONE -> FAILED : second)
        :: else
        fi;
#endif
        if
        :: first == DONE && second == DONE -> owed[0] = 0; owed[1] = 0
        :: first == DONE && second != DONE -> owed[0] = 0; owe(1, mine)
        :: first != DONE && second == DONE -> owed[1] = 0; owe(0, mine)
        :: first != DONE && second != DONE ->
            /* nobody has acknowledged: of those that knew, all that may have it owe but one */
            one = (!OWES(0) && first == FAILED); other = (!OWES(1) && second == FAILED);
#ifdef NO_DOUBT
            one = 0; other = 0;
#else
            from = (!OWES(0) -> 0 : 1);
            if
            :: (one || other) && one == !OWES(0) && other == !OWES(1) && !LATE(from) ->
                one = (from == 0 -> 0 : one); other = (from == 1 -> 0 : other)
            :: else
            fi;
#endif
#ifdef COPY_KNOWN
            one = (one || (copying[0] && first == FAILED)); other = (other || (copying[1] && second == FAILED));
#else
            one = (one || (copying[0] && (first == FAILED || second == FAILED)));
            other = (other || (copying[1] && (first == FAILED || second == FAILED)));
#endif
            if :: one -> owe(0, mine) :: else fi;
            if :: other -> owe(1, mine) :: else fi
        fi;
        floor = (first == DONE || second == DONE -> mine : floor);
        first = 0; second = 0; one = 0; other = 0; from = 0; out = 0; mine = 0;
        held = 0; under_way--
    }
}

inline read() {
    atomic { asked = GREATER(floor, told); met = number; quiet = (under_way == 0) }
    atomic {
        mask = (OWES(0) -> 0 : 1) + (OWES(1) -> 0 : 2);
        if
        :: mask -> skip
        :: !mask -> latest(); mask = (from == LAYERS -> 0 : from + 1)
        fi;
        from = 0; out = FAILED
    }
    if
    :: mask & 1 -> answer(0)
    :: else
    fi;
    if
    :: out != DONE && (mask & 2) -> answer(1)
    :: else
    fi;
    atomic {
        if
        :: out == DONE ->
            assert(value >= asked);
            told = (quiet && met == number -> GREATER(told, value) : told)
        :: out != DONE              /* nobody could answer */
        fi;
        asked = 0; met = 0; quiet = 0; mask = 0; value = 0; out = 0
    }
}

/* A layer answers, or fails. What it has answered while it was emptied, to be copied anew, does not count. */
inline answer(l) {
    before = emptied[l];
    if
#ifndef LAPSED_LOOK
    :: lapsed[l]
    :: !lapsed[l] -> value = store[l]; out = DONE
#else
    :: value = store[l]; out = DONE
#endif
    :: true
    fi;
#ifndef EMPTIED_UNSEEN
    atomic {
        out = (out == DONE && (lapsed[l]
#ifndef LAPSED_LOOK
            || emptied[l] != before
#endif
            ) -> FAILED : out);
        before = 0
    }
#endif
}

/* Give layer ``l`` what holds; ``out`` is DONE if it has it now. */
inline pay(l) {
    atomic {
        from = OTHER(l);
        out = DONE;
#ifndef SOURCE_OWES
        if
        :: OWES(OTHER(l)) -> latest();
            if
            :: from == LAYERS -> out = FAILED
            :: from == l || from == OTHER(l) -> owed[from] = 0
            fi
        :: else
        fi
#endif
    }
    if
    :: out == DONE && from != l ->
        if
        :: value = store[from];
            call(l, value);
            atomic { owed[l] = (out == DONE -> 0 : owed[l]); value = 0 }
        :: !calm -> out = FAILED
        fi
    :: else
    fi;
    from = 0
}

/* A debt is paid in the section of the key; so are the steps of copying a layer that has lapsed. */
inline repair(l) {
    if
    :: lapsed[l] ->
        if
        :: !copying[l] ->
            atomic { !held -> held = 1 }
            if
            :: !LATE(l) && lapsed[l] ->
                emptied[l]++;
                call(l, 0);
                atomic { if :: out == DONE -> owed[l] = 0; copying[l] = 1 :: else fi }
            :: else
            fi;
            held = 0
        :: copying[l]
        fi;
        if
        :: copying[l] && !OWES(OTHER(l)) ->
            atomic { !held -> held = 1 }
            if
            :: !LATE(l) && copying[l] && !lapsed[OTHER(l)] -> pay(l);
                atomic {
                    if
                    :: out != DONE -> lapsed[l] = number; copying[l] = 0; owed[l] = 0
                    :: else
                    fi
                }
            :: else -> out = FAILED
            fi;
            held = 0;
            if
            :: out == DONE ->
                atomic { !held -> held = 1 }
                atomic {
                    if
                    :: copying[l] && !LATE(l) -> lapsed[l] = 0; copying[l] = 0
                    :: else
                    fi;
                    held = 0
                }
            :: else
            fi
        :: else
        fi
    :: !lapsed[l] && owed[l] ->
#ifndef PAY_OUTSIDE
        atomic { !held -> held = 1 }
#endif
        if
        :: owed[l] && !LATE(l) -> pay(l)
        :: else
        fi;
#ifndef PAY_OUTSIDE
        held = 0
#endif
    :: else
    fi;
    out = 0
}

proctype writer(byte left) {
    byte mine, first, second, from, out;
    bit one, other, calm;
    do
    :: left > 0 -> left--; write()
    :: left == 0 -> break
    od;
    busy--
}

proctype reader(byte left) {
    byte asked, met, mask, before, value, from, out;
    bit quiet;
    do
    :: left > 0 -> left--; read()
    :: left == 0 -> break
    od
}

/* At last, when nothing is written or late any more and all layers are well, each debt is paid. */
proctype repairer(byte left) {
    byte value, from, out;
    bit calm;
    do
    :: left > 0 -> left--;
        if
        :: true -> repair(0)
        :: true -> repair(1)
        fi
    :: left == 0 -> break
    od;
    atomic { !busy && !late[0] && !late[1] -> calm = 1 }
    repair(0); repair(1); repair(0);
    assert((OWES(0) && OWES(1)) || (!OWES(0) && !OWES(1) && store[0] == store[1] && store[0] >= floor))
}

proctype below() {
end:
    do
    :: atomic { late[0] -> if :: store[0] = late[0] - 1 :: true fi; late[0] = 0 }
    :: atomic { late[1] -> if :: store[1] = late[1] - 1 :: true fi; late[1] = 0 }
    od
}

init {
    byte i;
    atomic {
        busy = WRITERS;
#ifdef LAPSED
        lapsed[0] = 1; store[0] = 0;
#endif
        do :: i < WRITERS -> run writer(WRITES); i++ :: else -> break od;
        i = 0;
        do :: i < READERS -> run reader(READS); i++ :: else -> break od;
        run repairer(REPAIRS);
        run below();
        i = 0
    }
}
