"""What a replicated store at the root of a plan promises beyond the model: who has a write, and what is no failure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from door43fast.errors import BudgetError, ConflictError, ReplicationError
from door43fast.testing.trials.building import Building
from door43fast.testing.trials.effects import FAILED, Act, States

ALL = ("flush", "verify", "promote")        # what asks all members
WRITES = ("set", "set_many", "set_packed", "delete", "delete_many", "incr", "clear")    # whose keys are written


class Members:
    """The members of the set at the root, where each is a leaf that is asked directly; else nothing is said."""

    def __init__(self, plan: dict[str, Any], building: Building) -> None:
        self._building = building
        self.plain = plan.get("strategy") == "replicated" and all(
            set(member) == {"type"} and not member["type"].startswith("plain-") for member in plan["layers"])
        count = len(plan.get("layers", ()))
        # How many must have a write.
        self.need = {"strong": count, "quorum": count // 2 + 1, "quorum(2)": 2}.get(plan.get("consistency", ""), 1)
        self._befallen: list[int] = []
        self._ill: list[Any] = []

    def begin(self) -> None:
        """A call is about to be made."""
        if self.plain:
            self._befallen = [len(leaf.faulty.log) for leaf in self._building.leaves]
            self._ill = [one.store for one in self._building.sets[-1]._lineup.replicas if one.error or one.waits]

    def enough(self, name: str, error: BaseException) -> bool:
        """If a call that raised had a primary and replicas that are well, as many as it needed."""
        if not self.plain or name in ALL or isinstance(error, BudgetError | ConflictError):
            return False
        lineup = self._building.sets[-1]._lineup
        ill = self._ill + [leaf.faulty for leaf, before in zip(self._building.leaves, self._befallen, strict=True)
               if leaf.down or len(leaf.faulty.log) > before]
        well = [one for one in lineup.replicas if one.store not in ill]
        return lineup.primary not in ill and len(well) + 1 >= self.need

    def busy(self, error: BaseException) -> bool:
        """If replicas had too short a time, which they are only given where members are no leaves."""
        return not self.plain and isinstance(error, ReplicationError) and bool(error.unknown)

    def looked(self) -> list[dict[Any, Any]]:
        """What each member holds now."""
        return [leaf.holds() for leaf in self._building.leaves] if self.plain else []

    def lacking(self, name: str, acts: Sequence[Act], held: list[dict[Any, Any]], states: dict[Any, States]) -> str:
        """What is to be said where fewer members held what an acknowledged write made than it needed."""
        for act in acts if held and name in WRITES else ():
            if act.got is FAILED or isinstance(act.got, type):
                continue
            wanted = {None if state is None else state.value for state in states[act.key]}
            count = sum(one.get(act.key) in wanted for one in held)
            if count < self.need:
                return f"{act.key!r}, which may be {wanted}, was held by {count} of {self.need} members: {held}"
        return ""
