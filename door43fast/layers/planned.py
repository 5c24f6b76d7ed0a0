"""Stores of layers that are pickled as the plan that they were opened from."""

from __future__ import annotations

from typing import Any


class ByPlan:
    """Mixed into a store: ``plan`` is what it was opened from, unset or None where it was made of open stores."""

    __slots__ = ()
    plan: dict[str, Any] | None

    def __reduce__(self) -> tuple[Any, ...]:
        plan = getattr(self, "plan", None)
        if plan is None:
            raise TypeError(f"this {type(self).__name__} was made of open stores and cannot be pickled: open it from a "
                            "plan, with door43fast.open(...), or pickle the stores that it was made of")
        from door43fast.assembly import open as reopen

        return reopen, (plan,)
