"""Whether calls of many threads can be put in an order that explains their answers, key by key.

Writes are explained all together, and each read together with them. So a read sees every write that had ended before
it began, unless another has replaced that; while a write is under way, one read may see it already and the next one not
yet, as in a cascade whose slow layer has it and whose memory tier has not.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Any, NamedTuple

from door43fast.testing.trials import effects
from door43fast.testing.trials.effects import ANY, FAILED, Act, States, matches


READS = (effects.read, effects.present, effects.other)


class Made(NamedTuple):
    """A call as far as one key is concerned, with when it began and ended."""

    begun: float
    ended: float
    act: Act


def explained(calls: list[Made], first: States) -> States:
    """The states that a key may be in after all ``calls``; empty if no order explains their answers.

    An order keeps a call that had ended before another began before that one. A call that raised has a place anywhere
    after its beginning, or none: so of two ways to one state, over the same calls that returned, the one that needs a
    part of the failed calls of the other can go on wherever the other can, and the other is not followed.
    """
    calls = sorted(calls, key=lambda made: made.begun)
    ends = [math.inf if made.act.got is FAILED else made.ended for made in calls]
    wanted = sum(1 << i for i, end in enumerate(ends) if end != math.inf)
    found: set[Any] = set()
    used: dict[tuple[int, Any], list[int]] = {}     # the failed calls on the ways to a state, the shortest first
    todo = deque((0, state) for state in first)
    while todo:
        done, state = todo.popleft()
        ways, failed = used.setdefault((done & wanted, state), []), done & ~wanted
        if any(way & failed == way for way in ways):
            continue
        ways.append(failed)
        if done & wanted == wanted:
            found.add(state)
        limit = min((end for i, end in enumerate(ends) if not done >> i & 1), default=math.inf)
        for i, made in enumerate(calls):
            if made.begun > limit:
                break
            if done >> i & 1:
                continue
            for answer, new in made.act.step(state):
                if made.act.got is FAILED or made.act.got is ANY or matches(answer, made.act.got):
                    todo.append((done | 1 << i, new))
    return frozenset(found)


def unexplained(calls: list[Made], first: States) -> tuple[States, list[Made]]:
    """The states after all calls, and what no order explains: a read, or the writes."""
    writes = [made for made in calls if made.act.step not in READS]
    states = explained(writes, first)
    if not states:
        return states, writes
    for made in calls:
        if made.act.step in READS and not explained([*writes, made], first):
            return states, [*writes, made]
    return states, []
