"""Random plans, and random steps over them: all that a trial does is drawn before it begins, and can be printed."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any, NamedTuple

from door43fast.testing.portions import DIVISIBLE
from door43fast.testing.trials.building import leaves_of
from door43fast.testing.trials.operations import KEYS, PREFIXES, TAGS

SPANS = [None, None, None, 0.025, 0.125, 1.025, 60.025]     # they end between the steps of the clock
NAMES = ["get"] * 6 + ["set"] * 5 + ["delete"] * 3 + ["set_many"] * 3 + ["get_many"] * 3 + [
    "[]", "in", "ttl", "contains_many", "get_packed", "scan", "keys", "iter", "add", "replace", "incr", "incr", "touch",
    "pop", "compute", "set_packed", "delete_many", "delete_many", "clear", "invalidate", "transaction", "transaction",
    "expire", "flush"]
DEADLINE = 0.03     # real seconds of a call that hangs; one that is late for want of a processor is right too
PATIENCE = 0.03     # real seconds of a buffer that cannot flush
PROMOTIONS = 0.06       # share of the calls of what has a set in it
TIMES = [0.05, 0.1, 1.0, 30.0]
ACKNOWLEDGED = 0.2      # real seconds that a write waits for replicas, where what they read may fail and the write not


class Fault(NamedTuple):
    """The ``nth`` call of the leaf in this step meets a fault of this kind."""

    leaf: int
    kind: str
    nth: int


class Meanwhile(NamedTuple):
    """While the leaf has its ``nth`` call of this step, before or after it carries that out, another call is made."""

    leaf: int
    nth: int
    after: bool
    step: Any


class Step(NamedTuple):
    """One call, and what befalls it."""

    name: str
    args: tuple[Any, ...] = ()
    faults: tuple[Fault, ...] = ()
    meanwhile: Meanwhile | None = None


class Drawing:
    """Draws from a seed.

    Parameters
    ----------
    kinds
        Names of leaves; those that begin with "plain" meet no faults.
    strategies
        Names of strategies.
    deadlines
        If a guard may have one.
    around
        If there are guards and write buffers at all.
    away
        How often a leaf with a guard need not be there at the opening, and one is not there at a reopening.
    """

    def __init__(self, seed: Any, kinds: tuple[str, ...], strategies: tuple[str, ...], deadlines: bool = True,
                 around: bool = True, away: float = 0.5) -> None:
        self.luck = random.Random(f"trial {seed}")
        self.kinds = kinds
        self.strategies = strategies
        self.deadlines, self.around, self.away = deadlines, around, away
        self.counted = 0
        self.replicated = False     # whether there is a set
        self._member = False        # a set is no member of another

    # -- plans -----------------------------------------------------------------------------------------------

    def plan(self, depth: int = 3) -> dict[str, Any]:
        """A plan of at most ``depth`` strategies one in another."""
        strategy = self.luck.choice(self._allowed())
        return getattr(self, f"_{strategy}")(depth - 1)

    def _allowed(self) -> list[str]:
        return [one for one in self.strategies if not (self._member and one == "replicated")]

    def _layer(self, depth: int) -> dict[str, Any]:
        luck = self.luck
        if depth > 0 and luck.random() < 0.35 and self._allowed():
            layer = self.plan(depth)
        else:   # memory is quick, and its faults are those of all
            layer = {"type": "memory" if luck.random() < 0.7 else luck.choice(self.kinds)}
        if not self.around:
            return layer
        if luck.random() < (0.25 if self.away < 1 else 0.7):
            layer["guard"] = {"failures": luck.choice([1, 2, 5]), "reset": 5.0, "probes": luck.choice([1, 1, 2])}
            if self.deadlines and luck.random() < 0.2:
                layer["guard"]["deadline"] = DEADLINE
            if "strategy" not in layer and not self._member and luck.random() < self.away:
                layer["guard"]["absent"] = "wait"
        if luck.random() < 0.25 and "absent" not in layer.get("guard", ()):
            layer["buffer"] = {"max_dirty": luck.choice([1, 2, 100, 100, 100, 100]), "patience": PATIENCE,
                               "delay": luck.choice([1000.0, 1000.0, 0.001])}
        return layer

    def _cascade(self, depth: int) -> dict[str, Any]:
        if self.around and self.luck.random() < 0.2:    # over another store than one in memory
            plan = {"strategy": "cascade", "layers": [self._layer(depth), self._layer(depth)],
                    "promote": self.luck.choice(["always", "always", "second", "never"]),
                    "repair": self.luck.choice(["manual", "manual", "background"])}
            if self.luck.random() < 0.3:
                plan["max_owed"] = self.luck.choice([0, 1, 2])
            return plan
        fast = {"type": "memory", "tier": True}
        if self.luck.random() < 0.3:
            fast["max_entries"] = self.luck.choice([1, 2])
        plan = {"strategy": "cascade", "layers": [fast, self._layer(depth)]}
        return self._in_modes(plan) if self.around and self.luck.random() < 0.4 else plan

    def _in_modes(self, plan: dict[str, Any]) -> dict[str, Any]:
        """Of memory over a store: none of them may show, but by which layer is asked."""
        luck = self.luck
        if luck.random() < 0.4:
            plan["write"] = "around"
        if luck.random() < 0.5:
            plan["promote"] = "second" if "write" in plan else luck.choice(["second", "never"])
        if luck.random() < 0.4 and plan.get("promote") != "never":
            plan["negative"] = 20.0
        if luck.random() < 0.3:
            plan["layers"][0]["ttl"] = luck.choice([0.075, 2.025])
            plan[luck.choice(["stale", "stale_on_error"])] = 20.0
        return plan

    def _parallel(self, depth: int) -> dict[str, Any]:
        luck = self.luck
        plan = {"strategy": "parallel", "layers": [self._layer(depth) for _ in range(luck.choice([2, 2, 3]))],
                "require": luck.choice(["all", "any", 2]), "repair": luck.choice(["manual", "manual", "background"])}
        if luck.random() < 0.1:
            plan["read"] = "race"
        return self._owing(plan)

    def _primary_fallback(self, depth: int) -> dict[str, Any]:
        luck = self.luck
        whole = self._member        # of a set each member tells by a scan all that it has
        return self._owing({"strategy": "primary_fallback", "layers": [self._layer(depth), self._layer(depth)],
                            "on_miss": luck.random() < 0.2 and not whole, "mirror": luck.random() < 0.75 or whole,
                            "repair": luck.choice(["manual", "manual", "background"])})

    def _replicated(self, depth: int) -> dict[str, Any]:
        luck = self.luck
        self._member = self.replicated = True
        members = [self._layer(depth) for _ in range(luck.choice([2, 2, 3]))]
        if any(leaf.timed for leaf in leaves_of(members[0])):   # whose late writes no queue tells
            members[0] = {"type": "journal"}
        self._member = False
        if luck.random() < 0.4:
            members[0] = {"type": luck.choice(["journal", "plain-journal"])}
            if self.around and members[0]["type"] == "journal" and luck.random() < 0.4:
                members[0]["guard"] = {"failures": luck.choice([1, 2, 5]), "reset": 5.0, "probes": 1}
        timeout = 10.0 if all(set(member) == {"type"} for member in members) else ACKNOWLEDGED
        plan = {"strategy": "replicated", "layers": members, "timeout": timeout, "close_timeout": 0.5,
                "consistency": luck.choice(["strong", "strong", "quorum", "quorum(2)", "eventual"])}
        if luck.random() < 0.2:
            plan["queue"] = luck.choice([1, 3])
        return plan

    def _owing(self, plan: dict[str, Any]) -> dict[str, Any]:
        if self.luck.random() < 0.3:
            plan["max_owed"] = self.luck.choice([0, 1, 2])
        if self.luck.random() < (0.06 if self.away < 1 else 0.3):
            self.counted += 1
            plan["owed"] = f"owed{self.counted}"
        return plan

    # -- steps -----------------------------------------------------------------------------------------------

    def steps(self, leaves: list[int], timed: list[int], count: int) -> list[Step]:
        """So many steps. ``leaves`` are the numbers of those that meet faults, ``timed`` of those that may hang."""
        return [self._step(leaves, timed) for _ in range(count)]

    def _step(self, leaves: list[int], timed: list[int]) -> Step:
        luck, drawn = self.luck, self.luck.random()
        if drawn < 0.08:
            return Step("advance", (luck.choice(TIMES),))
        if drawn < 0.10:
            gone = leaves and not self.replicated and luck.random() < self.away       # members must be there
            return Step("reopen", (luck.choice(leaves),) if gone else ())
        if drawn < 0.13 and leaves:
            return Step("down", (luck.choice(leaves), luck.choice(["error", "error", "lost"])))
        if drawn < 0.21 and leaves:
            return Step("up", (luck.choice(leaves),))
        name, args = self._made()
        faults, meanwhile = [], None
        if leaves and luck.random() < 0.2:
            for _ in range(luck.choice([1, 1, 2])):
                kind = luck.choice(["error", "lost", "partial" if name in DIVISIBLE else "lost"])
                leaf = luck.choice(leaves)
                if leaf in timed and luck.random() < 0.3:
                    kind = luck.choice(["hang", "late"])
                faults.append(Fault(leaf, kind, luck.choice([1, 1, 1, 2])))
        elif leaves and luck.random() < 0.15:
            meanwhile = Meanwhile(luck.choice(leaves), luck.choice([1, 1, 2]), luck.random() < 0.6,
                                  Step(*self._made()))
        return Step(name, args, tuple(faults), meanwhile)

    def _made(self) -> tuple[str, tuple[Any, ...]]:
        """A call, or the promotion of a replica: of which set, and which of its replicas."""
        if self.replicated and self.luck.random() < PROMOTIONS:
            return "promote", (self.luck.randrange(6), self.luck.randrange(6))
        return self.call()

    def call(self, names: Sequence[str] = NAMES, spans: Sequence[float | None] = SPANS) -> tuple[str, tuple[Any, ...]]:
        """A call of a store."""
        luck = self.luck
        name = luck.choice(names)
        key = luck.choice(KEYS)
        span = luck.choice(spans)
        some = [luck.choice(KEYS) for _ in range(luck.randrange(1, 5))]
        match name:
            case "set":
                tags = (luck.choice(TAGS),) if luck.random() < 0.3 else ()
                return name, (key, self.value(), span, tags)
            case "add" | "compute":
                return name, (key, self.value(), span)
            case "replace":
                return name, (key, self.counted * 100, self.value())
            case "incr":
                return name, (key, luck.choice([1, 2, -1]))
            case "touch":
                return name, (key, luck.choice([*spans, 0]))
            case "get_many" | "contains_many" | "get_packed":
                return name, (list(dict.fromkeys(some)),)      # a batch reads its keys in any order
            case "delete_many":
                return name, (some,)
            case "set_many":
                return name, ([(one, self.value()) for one in some], span)
            case "set_packed":
                return name, ([(one, b"%d" % self.value()) for one in some],)
            case "scan" | "keys" | "clear":
                return name, (luck.choice(PREFIXES),)
            case "invalidate":
                return name, (luck.choice(TAGS),)
            case "transaction":
                return name, ([self._part(luck.choice(KEYS)) for _ in range(luck.randrange(1, 4))],)
            case "iter" | "expire" | "flush":
                return name, ()
        return name, (key,)

    def _part(self, key: str) -> tuple[Any, ...]:
        """A call within a transaction."""
        kind = self.luck.choice(["get", "set", "delete", "incr", "pop"])
        return {"set": (kind, key, self.value(), None, ()), "incr": (kind, key, 1)}.get(kind, (kind, key))

    def value(self) -> int:
        """One that was never given before, with room for steps of one after it."""
        self.counted += 1
        return self.counted * 100
