/* What a model tells of its steps. Alone nothing; under REPLAY, which replay.py defines, each event must be the
   next one of a recorded trace, with the same contents of the tiers, or the run does not go on. A thread then
   moves only while its own event is the next: between two points of the recording nothing else ran. */

#define CALL_GET 1
#define ASK_GET 2
#define DONE_GET 3
#define CALL_SET 4
#define ASK_SET 5
#define DONE_SET 6
#define CALL_DELETE 7
#define ASK_DELETE 8
#define DONE_DELETE 9
#define CALL_SETS 10
#define ASK_SETS 11
#define DONE_SETS 12
#define CALL_DELETES 13
#define ASK_DELETES 14
#define DONE_DELETES 15
#define CALL_CLEAR 16
#define ASK_CLEAR 17
#define DONE_CLEAR 18
#define WEIGH 19
#define RETURN 20

#define BOTH 2              /* in the place of a key */
#define ABSENT 255          /* as a value: the key is not there, whatever its number */

#ifdef REPLAY
inline expected(kind, k, v) {
    atomic {
        want_kind == (kind) && want_key == k && SAME && (want_value == v || (want_value == ABSENT && v % 2 == 0)) ->
        at++;
        load()
    }
}
#define EVENT(kind, k, v) expected((kind), k, v)
#define WEIGHED do :: expected(WEIGH, BOTH, 0) :: break od
#define TURN provided (want_actor + 1 == _pid)
#else
#define EVENT(kind, k, v) skip
#define WEIGHED skip
#define TURN
#endif

#ifdef NATIVE_READS
#define EVENT_BELOW(kind, k, v) skip
#else
#define EVENT_BELOW(kind, k, v) EVENT(kind, k, v)
#endif
