"""The page docs/layers-table.md. ``python -m door43fast.testing.layer_table`` prints it."""

from __future__ import annotations

import sys
import time
from typing import Any

from door43fast.layers import Cascade, Guard, Parallel, PrimaryFallback, WriteBuffer
from door43fast.layers.readthrough import ReadThrough
from door43fast.memory import MemoryStore
from door43fast.replication import Replicated
from door43fast.testing.layer_rows import OPERATIONS, RESET, Case, run

LIMIT = 30      # seconds that replicas are waited for, if they are right only a moment


def _cascade(layers: list[Any], clock: Any) -> Any:
    return Cascade(MemoryStore(clock=clock), layers[0])


def _deep(layers: list[Any], clock: Any) -> Any:
    return Cascade(MemoryStore(clock=clock), _cascade(layers, clock))


def _guarded(layers: list[Any], clock: Any) -> Any:
    return _cascade([Guard(layers[0], failures=1, reset=RESET, clock=clock)], clock)


def _back(layers: list[Any], clock: Any) -> Any:
    return _cascade([WriteBuffer(layers[0], delay=1000, clock=clock)], clock)


def _read_through(layers: list[Any], clock: Any) -> Any:
    return ReadThrough(*layers, repair="manual", clock=clock)


def _parallel(require: Any) -> Any:
    return lambda layers, clock: Parallel(*layers, require=require, repair="manual", clock=clock)


def _fallback(mirror: bool) -> Any:
    return lambda layers, clock: PrimaryFallback(*layers, mirror=mirror, repair="manual", clock=clock)


def _replicated(consistency: str) -> Any:
    return lambda layers, clock: Replicated(layers[0], layers[1:], consistency, timeout=LIMIT)


def _repaired(store: Any) -> None:
    end = time.monotonic() + LIMIT
    while any(owed != 0 for owed in store.repair().values()) and time.monotonic() < end:
        time.sleep(0.001)
    store.flush()


def _caught_up(store: Any) -> None:
    store.wait_for(timeout=LIMIT)


CASES = (
    Case("cascade", ("slow",), _cascade, ("fast",), lambda s: [s.fast]),
    Case("cascade of three layers", ("slowest",), _deep, ("fast", "slower"), lambda s: [s.fast, s.slow.fast]),
    Case("cascade over a guard whose circuit is open", ("slow",), _guarded, ("fast",), lambda s: [s.fast],
         tripped=True),
    Case("cascade, write-back", ("slow",), _back, ("fast",), lambda s: [s.fast]),
    Case("cascade whose fast layer is not in memory", ("fast", "slow"), _read_through, mend=_repaired),
    Case("parallel, all must take a write", ("first", "second"), _parallel("all"), mend=_repaired),
    Case("parallel, any must take a write", ("first", "second"), _parallel("any"), mend=_repaired),
    Case("primary_fallback", ("primary", "fallback"), _fallback(True), mend=_repaired),
    Case("primary_fallback, no mirror", ("primary", "fallback"), _fallback(False), mend=_repaired),
    Case("replicated, strong", ("primary", "replica"), _replicated("strong"), mend=_caught_up, kinds=("down",)),
    Case("replicated, quorum", ("primary", "replica 1", "replica 2"), _replicated("quorum"), mend=_caught_up,
         kinds=("down",)),
    Case("replicated, eventual", ("primary", "replica"), _replicated("eventual"), mend=_caught_up, kinds=("down",)),
)


def section(case: Case) -> str:
    """The tables of a strategy, one for each layer that fails."""
    names = ", ".join(f"`{name}`" for name in (*case.tiers, *case.layers))
    columns = ["call", *(f"{kind}: {what}" for kind in case.kinds for what in ("gives", "then", "when it is back"))]
    parts = [f"## {case.title}\n"]
    for failing, name in enumerate(case.layers):
        parts.append(f"`{name}` fails. What is held is told of {names}.\n")
        parts.append(f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|")
        for operation in OPERATIONS:
            if operation.cold and not case.tiers:
                continue
            cells = [operation.name]
            for kind in case.kinds:
                if kind == "lost" and not operation.writes:
                    cells += [""] * 3
                else:
                    row = run(case, operation, failing, kind)
                    cells += [row.gives, ", ".join(row.holds), ", ".join(row.later)]
            parts.append(f"| {' | '.join(cells)} |")
        parts.append("")
    return "\n".join(parts)


def page() -> str:
    """All of it."""
    return "\n".join([HEAD, *map(section, CASES)])


HEAD = """# What comes of a layer that fails

This page is made by `python -m door43fast.testing.layer_table`, which runs each row; a test compares the two. A row is
one call of a store, all of whose layers held `old` under the key (nothing, where the call needs that), while one fails:

- **down**: each call of that layer raises `BackendUnavailableError`, and does nothing;
- **lost**: each write of that layer is carried out, and raises: its acknowledgement gets lost.

`gives` is `ok`, or the type of the exception. A layer holds `old`, `new`, or `–` for nothing: then, and when the
layer is back, a repair or a flush was made and the key was read. Each layer is a store in memory. Of replicated
stores the table has no lost acknowledgements, since replicas try again by themselves. What the strategies promise is
in [layers.md](layers.md), [write-back.md](write-back.md) and [replication.md](replication.md).
"""

if __name__ == "__main__":
    sys.stdout.write(page())
