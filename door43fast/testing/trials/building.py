"""A plan as an open store over leaves that stay, so that it can be closed and made anew over what they hold."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any, NamedTuple

from door43fast import config
from door43fast.errors import BackendUnavailableError, Error
from door43fast.layers import Guard, Parallel, PrimaryFallback, Wrapper, WriteBuffer
from door43fast.layers.absentee import Absentee
from door43fast.layers.failures import Late
from door43fast.layers.readthrough import ReadThrough
from door43fast.plans import strategy
from door43fast.replication import Replicated
from door43fast.replication.head import KEYS as HEADS
from door43fast.testing.basis import manual_clock
from door43fast.testing.faults import Faulty
from door43fast.testing.trials.primaries import Primaries, quiet

SEVERAL = {"parallel": Parallel, "primary_fallback": PrimaryFallback}
LIMIT = 30      # seconds that late calls are waited for, if they are right only a moment
Maker = Callable[..., Any]      # of a store of its layers, or of the one that it is around


class Kept(Wrapper):
    """A store that outlives what stands above: its close leaves the one underneath open."""

    @property
    def capabilities(self) -> Any:
        """Those of the one underneath; and it is there when what stands above is opened anew."""
        return self.slow.capabilities._replace(persistent=True)

    def close(self) -> None:
        self._shut = True


class Leaf:
    """A store at the bottom of a plan: ``real``, and ``faulty`` around it, None where it meets no faults."""

    def __init__(self, kind: str, real: Any, reopen: Callable[[], Any] | None) -> None:
        self.kind, self.real, self.reopen = kind, real, reopen
        self.faulty: Any = None
        self.down: str | None = None

    def open(self) -> Any:
        """The layer for a plan."""
        if self.reopen is not None:
            return self.reopen()
        log = [] if self.faulty is None else self.faulty.log
        self.faulty = Faulty(Kept(self.real))
        self.faulty.log = log
        if self.down is not None:
            self.faulty.down(self.down)
        return self.faulty

    def arrive(self) -> Any:
        """The layer for a plan that may be opened later, if it is there now."""
        if self.down is not None:
            raise BackendUnavailableError(f"the {self.kind} is down")
        return self.open()

    def holds(self) -> dict[Any, Any]:
        """Its records, without the head of a member of a replicated store."""
        return {key: value for key, value in self.real.scan() if key not in HEADS}


class Pool:
    """Stores for the leaves of trials, used again when they have been cleared: opening one costs more than a trial.

    Parameters
    ----------
    makers : mapping, optional
        For the name of a strategy what makes a store of its layers instead: another implementation, or a broken one.
    """

    def __init__(self, makers: Mapping[str, Maker] | None = None) -> None:
        self.clock = manual_clock()
        self.makers = dict(makers or {})
        self.folder = tempfile.TemporaryDirectory(prefix="door43fast-trials")
        self._made = 0
        self._free: dict[str, list[Any]] = {}

    def take(self, kind: str) -> Leaf:
        """A leaf of a kind: memory, lmdb, journal (of LMDB) or sqlite; a plain one is a native store itself."""
        base = kind.removeprefix("plain-")
        free = self._free.setdefault(base, [])
        path, real = free.pop() if free else self._make(base)
        leaf = Leaf(base, real, None if base == kind else lambda: self._open(base, path))
        leaf.path = path    # type: ignore[attr-defined]
        return leaf

    def give_back(self, leaf: Leaf) -> None:
        """A leaf that is no longer used; a memory store costs nothing to make anew."""
        if leaf.kind != "memory":
            leaf.real.clear()
            self._free[leaf.kind].append((leaf.path, leaf.real))    # type: ignore[attr-defined]

    def fresh_folder(self) -> str:
        """The name of a folder that nothing is in, for what a store keeps beside its layers."""
        self._made += 1
        return f"{self.folder.name}/own{self._made}"

    def _make(self, kind: str) -> tuple[str, Any]:
        self._made += 1
        path = f"{self.folder.name}/{kind}{self._made}"
        return path, self._open(kind, path)

    def _open(self, kind: str, path: str) -> Any:
        import door43fast as d43
        if kind in ("lmdb", "journal"):
            return d43.LmdbStore(path, durability="none", clock=self.clock, journal=kind == "journal" or None)
        if kind == "sqlite":
            from door43fast.plugins.sqlite import SqliteStore
            return SqliteStore(path=path, durability="none", clock=self.clock)
        return d43.MemoryStore(clock=self.clock)

    def close(self) -> None:
        for free in self._free.values():
            for _, real in free:
                real.close()
        self.folder.cleanup()


class Building:
    """The leaves of a plan, and the store that stands on them now."""

    def __init__(self, plan: dict[str, Any], pool: Pool) -> None:
        self.plan, self.pool = plan, pool
        self.folder = pool.fresh_folder()
        self.leaves: list[Leaf] = []
        self._counted = 0
        self.primaries = Primaries()
        self.timed: set[int] = set()    # members that may be late, by their identity
        self.caches: list[Any] = []
        self.guards: list[Any] = []
        self.several: list[Any] = []
        self.sets: list[Replicated] = []        # the innermost first
        self.busy: list[Any] = []       # locks of what works in the background, the innermost first
        self.menders: list[Any] = []    # what has to bring layers up to date, likewise
        self.store = self.make()

    @property
    def clock(self) -> Any:
        return self.pool.clock

    def make(self) -> Any:
        """A store over the leaves; the first time, these are taken from the pool."""
        self._counted, self.caches, self.guards = 0, [], []
        self.several, self.busy, self.menders, self.sets = [], [], [], []
        self.primaries.forget()
        return self._made(self.plan)

    def _made(self, plan: dict[str, Any]) -> Any:
        for around, kind in (("guard", Guard), ("buffer", WriteBuffer)):
            if around in plan:
                options = {name: value for name, value in plan[around].items() if name != "absent"}
                bare = {name: value for name, value in plan.items() if name != around}
                inner = self._awaited(plan["type"]) if "absent" in plan[around] else self._made(bare)
                made = self.pool.makers.get(around, kind)(inner, clock=self.clock, **options)
                if isinstance(inner, Absentee):
                    made.expect(inner)
                if kind is Guard:
                    self.guards.append(made)
                else:
                    self.busy.append(lambda: made._flusher.turn)
                    self.menders.append(made)
                return made
        if "strategy" in plan:
            layers = [self._made(layer) for layer in plan["layers"]]
            if plan["strategy"] in self.pool.makers:
                return self.pool.makers[plan["strategy"]](layers)
            options = {name: value for name, value in plan.items() if name not in ("strategy", "layers")}
            if plan["strategy"] == "cascade" and "tier" not in plan["layers"][0]:
                return self._beside(ReadThrough(*layers, clock=self.clock, **options))
            if plan["strategy"] == "replicated":
                return self._followed(layers, plan["layers"], options)
            if plan["strategy"] in SEVERAL:
                if "owed" in options:
                    options["owed"] = f"{self.folder}/{options['owed']}"
                return self._beside(SEVERAL[plan["strategy"]](*layers, clock=self.clock, **options))
            chosen = strategy(plan["strategy"])
            return chosen.make(layers, config.checked(chosen.Options, options, "plan"), "plan")
        if plan.get("tier"):
            import door43fast as d43
            options = {name: value for name, value in plan.items() if name not in ("type", "tier")}
            self.caches.append(d43.MemoryStore(clock=self.clock, **options))
            return self.caches[-1]
        return self._leaf(plan["type"]).open()

    def _leaf(self, kind: str) -> Leaf:
        """The next leaf of the plan."""
        if self._counted == len(self.leaves):
            self.leaves.append(self.pool.take(kind))
        self._counted += 1
        return self.leaves[self._counted - 1]

    def _awaited(self, kind: str) -> Absentee:
        """The next leaf, which need not be there."""
        leaf = self._leaf(kind)
        if leaf.faulty is None and leaf.reopen is None:
            leaf.open()     # who meets the faults that are ordered before it is there, which takes as long as it takes
        return Absentee(leaf.arrive, Kept(leaf.real).capabilities, name=kind)

    def _beside(self, store: Any) -> Any:
        """A store over several that hold the same: with guards of its own, and debts."""
        self.several.append(store)
        self.menders.append(store)
        self.busy.append(lambda: store._stripes.section(None))
        self.guards += [guard for guard in store.layers if guard not in self.guards]
        return store

    def _followed(self, members: list[Any], plans: list[dict[str, Any]], options: dict[str, Any]) -> Replicated:
        """A primary and replicas."""
        self.timed |= {id(one) for one, plan in zip(members, plans, strict=True)
                       if any(leaf.timed for leaf in leaves_of(plan))}
        store = self.primaries.open(members, options, self.settle)
        self.sets.append(store)
        self.busy.append(lambda: quiet(store))
        return store

    def fit(self, member: Any) -> bool:
        """Whether a member of a set may lead it: no queue tells the late writes of one that has a deadline."""
        return id(member) not in self.timed

    def advance(self, seconds: float) -> None:
        """Let time pass, but not in the middle of a flush or a repair, which take no time."""
        with ExitStack() as quiet:
            for lock in reversed(self.busy):
                quiet.enter_context(lock())
            self.clock.advance(seconds)

    def owing(self) -> bool:
        """If a layer has still to be brought up to date."""
        return any(not layer.ledger.clean for store in self.several for layer in store._layers) or bool(self.behind())

    def behind(self) -> list[str]:
        """The replicas that fail, or are not as their primary is."""
        return [f"{replica.name} is behind ({replica.error or replica.waits!r})" for store in self.sets
                for replica in store._lineup.replicas
                if replica.error or replica.waits or not replica.whole or _lacks(replica, True)]

    def repair(self, anew: bool = False) -> str:
        """Try to bring all layers up to date, or to copy them anew. Gives what is still owed."""
        kept: list[str] = []
        for turn in range(4):   # the first calls are the probes of circuit breakers
            kept = []
            for store in self.menders:
                if isinstance(store, WriteBuffer):
                    try:
                        store.flush()
                    except (Error, OSError) as error:
                        kept = [f"a buffer keeps what it cannot flush ({error!r})"]
                else:
                    store.repair(anew=anew and turn == 0)
            for replicated in self.sets:
                for replica in replicated._lineup.replicas:
                    replica.round()     # it would try again by itself, but later
            self.settle()
        return ", ".join([f"{layer.name} owes {layer.ledger.owed or layer.ledger.lapsed}" for store in self.several
                          for layer in store._layers if not layer.ledger.clean] + self.behind() + kept)

    @property
    def failures(self) -> int:
        """How many calls the guards have seen fail, or be late."""
        return sum(guard.breaker.failures for guard in self.guards)

    def settle(self) -> None:
        """Let go of what hangs, and wait until no call is late any more, and each replica has all or fails."""
        end = time.monotonic() + LIMIT
        while True:
            for leaf in self.leaves:
                if leaf.faulty is not None and leaf.faulty.hanging:
                    leaf.faulty.release()
            if not any(guard.late for guard in self.guards) and not self._following():
                return
            if time.monotonic() > end:
                raise TimeoutError(f"calls are late, or replicas behind, for {LIMIT} seconds: {self.plan}")
            time.sleep(0.0005)

    def _following(self) -> bool:
        """If a replica does something, or is about to."""
        return any(replica.busy.locked() or not (replica.error or replica.waits or replica.stopping)
                   and (not replica.whole or _lacks(replica, False))
                   for store in reversed(self.sets) for replica in store._lineup.replicas)

    def leave(self) -> None:
        """Close what stands, and give the leaves back."""
        failures = self.failures
        try:
            self.store.close()
        except Error as error:      # a deadline of a moment, where the machine is busy
            if not isinstance(error, Late) and self.failures == failures:
                raise
        self.settle()
        for leaf in self.leaves:
            self.pool.give_back(leaf)


def _lacks(replica: Any, unknown: bool) -> bool:
    """If there are changes that a replica has not; ``unknown`` where the primary is not asked."""
    try:
        return replica.seq < replica.log.last()
    except BackendUnavailableError:
        return unknown


class Place(NamedTuple):
    """A leaf of a plan: its kind, whether its calls have a deadline, and whether it may hold a part only."""

    kind: str
    timed: bool
    part: bool


def leaves_of(plan: dict[str, Any], timed: bool = False, part: bool = False) -> list[Place]:
    """The leaves of a plan in the order of their numbers."""
    timed = timed or "deadline" in plan.get("guard", ())
    if "strategy" in plan:
        fast = 0 if plan["strategy"] == "cascade" else None
        partial = 1 if plan["strategy"] == "primary_fallback" and not plan.get("mirror", True) else fast
        return [leaf for place, layer in enumerate(plan["layers"])
                for leaf in leaves_of(layer, timed, part or place == partial)]
    return [] if plan.get("tier") else [Place(plan["type"], timed, part)]
