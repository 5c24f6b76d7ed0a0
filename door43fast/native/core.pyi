from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from door43fast.contracts import Event

class Flight:
    """One computation of one key under way; ``voided`` is set by any set or delete of that key."""

    voided: bool
    owner: int
    done: Any
    result: Any
    error: Any
    waiting_for: Any
    def __new__(cls) -> Flight: ...

class Subscription:
    """A listener of one store; :meth:`cancel` ends it. Also a context manager."""

    @property
    def pattern(self) -> str: ...
    @property
    def values(self) -> bool: ...
    def cancel(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 traceback: TracebackType | None, /) -> None: ...

class EventQueue:
    """Events in the order of the changes, delivered outside every lock by one thread at a time."""

    origin: str
    def __new__(cls, origin: str = "") -> EventQueue: ...
    @property
    def sequence(self) -> int: ...
    def subscribe(self, pattern: str, callback: Callable[[Event], Any], *, values: bool = False) -> Subscription: ...
    def drain(self) -> None: ...
    def flush(self) -> None: ...

class Core:
    """The base of every native store: open or closed, with events to tell and computations under way."""

    @property
    def closed(self) -> bool: ...
    @property
    def _flights(self) -> dict[Any, Flight]: ...
    @property
    def _events(self) -> EventQueue: ...
