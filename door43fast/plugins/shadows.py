"""Names of the base of backends that a subclass takes for itself by accident: refused, since what comes of it is unlike
the cause. A ``self._lock`` of one's own, in the place of the base's, is a call that waits for itself."""

from __future__ import annotations

from typing import Any

# What docs/plugins.md has a backend define.
OPEN = {"_writing", "_epoch", "_tells", "_watched", "_with_deadlines", "_on_loop", "_flights_file", "_text_keys",
        "_depth"}
# What the base sets once, and relies on.
KEPT = ("_lock", "_counting", "_counts", "_queue", "_flight_table", "_codec", "_plan")


def _foreign(kind: type) -> bool:
    return not kind.__module__.startswith("door43fast.")


def _refused(kind: type, what: str, name: str) -> TypeError:
    return TypeError(f"{kind.__name__} {what} {name}, a name that its base class uses for itself: call it otherwise, "
                     f"such as {name.rstrip('_')}_of_mine (see docs/plugins.md)")


def check_class(kind: type, base: type) -> None:
    """Refuse a method or attribute of ``kind`` by a private name of ``base`` that is not for it to define."""
    if _foreign(kind):
        for name in vars(kind):
            if name[0] == "_" and not name.startswith("__") and name not in OPEN and hasattr(base, name):
                raise _refused(kind, "defines", name)


def kept(store: Any) -> dict[str, Any]:
    """What the base has set, to compare with."""
    return {name: getattr(store, name) for name in KEPT}


def check_instance(store: Any, before: dict[str, Any], base: type) -> None:
    """Refuse what the constructor has set over a method, or over something that the base relies on."""
    kind = type(store)
    if _foreign(kind):
        for name, value in vars(store).items():
            taken = callable(getattr(base, name, None)) and name not in OPEN
            if taken or name in before and before[name] is not value:
                raise _refused(kind, "sets", f"self.{name}")
