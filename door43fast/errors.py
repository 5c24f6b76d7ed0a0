"""Every exception of door43fast: each message says what happened, to which key or path, and what to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


class Error(Exception):
    """The root of all errors of door43fast."""


class ConfigError(Error, ValueError):
    """An option or a plan is unknown, missing or out of range; nothing was opened."""


class ClosedError(Error):
    """A store was used after ``close``; open it again."""


class UnsupportedError(Error):
    """This backend cannot do that, as its capabilities declare; the message names one that can."""


class ReadOnlyError(UnsupportedError):
    """A write reached a store that was opened with ``readonly=True``."""


class KeyTooLongError(Error, ValueError):
    """A key is longer than the backend can hold."""


class BudgetError(Error):
    """A value does not fit the store's budget, or only pinned entries are left to evict."""


class QuotaError(BudgetError):
    """A namespace would hold more than it may; nothing was written.

    ``namespace`` is its name, ``quota`` the limit that stands in the way ("max_bytes" or "max_entries"), ``limit`` its
    number, ``used`` what is held, ``needed`` what would be.
    """

    def __init__(self, namespace: str, quota: str, limit: int, used: int, needed: int) -> None:
        super().__init__(f"the namespace {namespace!r} holds {used:,} of {quota}={limit:,} and would hold {needed:,}, "
                         "so nothing was written: delete from it, let entries expire, or raise its limit with limit()")
        self.namespace, self.quota, self.limit, self.used, self.needed = namespace, quota, limit, used, needed

    def __reduce__(self):
        return type(self), (self.namespace, self.quota, self.limit, self.used, self.needed)


class RateError(Error):
    """A namespace has been asked for more keys a second than it may; ask again after ``retry_after`` seconds."""

    def __init__(self, namespace: str, rate: float, retry_after: float) -> None:
        super().__init__(f"the namespace {namespace!r} may read and write {rate:g} keys a second, and that is used up: "
                         f"try again in {retry_after:.3f} seconds, or raise its rate with limit()")
        self.namespace, self.rate, self.retry_after = namespace, rate, retry_after

    def __reduce__(self):
        return type(self), (self.namespace, self.rate, self.retry_after)


class MapFullError(Error):
    """The LMDB map is full and cannot grow: the disk, an address-space limit or ``map_size`` stands in the way."""


class CorruptError(Error):
    """A stored record does not match its checksum, or a file is damaged; no bytes of it were returned.

    ``key`` is that of the record, None where no single record is known.
    """

    key = None


class FormatError(Error):
    """A file was not written by door43fast, or by a version that this one cannot read; it was left untouched."""


class BackendUnavailableError(Error):
    """A backend cannot be used here; the message says what to install or start.

    ``passing`` says whether that may end without anything being changed here; not so a password that is refused.
    """

    passing = True


class PartialWriteError(Error):
    """Some layers have taken a write and others have not; it may still take effect, and those that have it keep it.

    ``done`` are the names of the layers that have it, ``failed`` the others by name, with the error of each. Reads
    pass a layer over for the keys that it lacks, and it is brought up to date when it is back.
    """

    def __init__(self, what: str, done: Sequence[str], failed: Mapping[str, BaseException]) -> None:
        errors = "; ".join(f"{name}: {error}" for name, error in failed.items())
        super().__init__(f"{what} was taken by {', '.join(done) or 'no layer for certain'} and not by "
                         f"{', '.join(failed)} ({errors}): it may still take effect; layers that have it keep it, the "
                         "others are brought up to date when they are back; write it again, or read what holds now")
        self.what, self.done, self.failed = what, tuple(done), dict(failed)

    def __reduce__(self):
        return type(self), (self.what, self.done, self.failed)


class PrunedError(Error):
    """A journal no longer holds the changes that were asked for; ``oldest`` is the number of the first that it does."""

    def __init__(self, message: str, oldest: int = 0) -> None:
        super().__init__(message)
        self.oldest = oldest

    def __reduce__(self):
        return type(self), (str(self), self.oldest)


class FencedError(Error):
    """Another has become the writer, in the later term ``term``: this store writes no more, and may still be read."""

    def __init__(self, message: str, term: int = 0) -> None:
        super().__init__(message)
        self.term = term

    def __reduce__(self):
        return type(self), (str(self), self.term)


class ReplicationError(PartialWriteError):
    """A write, a wait or a promotion did not reach the replicas that it had to reach.

    ``done`` are the names of the members that have it, ``failed`` those that do not, with the error of each,
    ``unknown`` those that have not answered.
    """

    def __init__(self, message: str, done: Sequence[str] = (), failed: Mapping[str, BaseException] | None = None,
                 unknown: Sequence[str] = ()) -> None:
        Error.__init__(self, message)
        self.what, self.done, self.failed, self.unknown = "", tuple(done), dict(failed or {}), tuple(unknown)

    def __reduce__(self):
        return type(self), (str(self), self.done, self.failed, self.unknown)


class LostEventsError(Error):
    """A subscription's queue was full, and events were lost; read the store as it is, and subscribe anew."""


class ConflictError(Error):
    """What a transaction had read was changed before it could commit; nothing was written, run it again."""


class DeadlockError(Error, RuntimeError):
    """A loader waits, directly or through others, for the key that it is computing."""


class SourceError(Error):
    """A folder or archive cannot be imported safely, or an export would leave its folder; nothing of it was written."""


class PassageError(Error, ValueError):
    """A passage names no known book or is not a reference; the message shows the nearest."""


# ValueError is also ConfigError and KeyTooLongError, UnsupportedError also ReadOnlyError, BudgetError also QuotaError,
# KeyError what a missing key is. ClosedError is the end of the whole, which a layer is not to blame for.
OF_THE_CALLER = (TypeError, ValueError, KeyError, UnsupportedError, BudgetError, RateError, ConflictError,
                 DeadlockError, PrunedError, LostEventsError, ClosedError)


def blames_layer(error: BaseException) -> bool:
    """Whether an error of a call says that the layer failed, so that others should answer and it should be spared.

    What the caller caused (a wrong key, no room, a conflict, the end of the store) would be the same tomorrow, and an
    interruption (KeyboardInterrupt, SystemExit) says nothing of the layer.
    """
    return isinstance(error, Exception) and not isinstance(error, OF_THE_CALLER)


def may_pass(error: BaseException) -> bool:
    """Whether a store that could not be opened for this error may be opened later, as it is: it was not reached."""
    return isinstance(error, (BackendUnavailableError, OSError)) and getattr(error, "passing", True)


def nearest(name, known) -> list[str]:
    """The one of ``known`` that ``name`` was likely meant to be; nothing where none is near."""
    import difflib

    return difflib.get_close_matches(str(name), known, 1, 0.5)


def did_you_mean(name, known) -> str:
    """The end of a sentence that refuses ``name``: the nearest of ``known``, or all of them where none is near."""
    known = [str(one) for one in known]
    near = nearest(name, known)
    return f"did you mean {near[0]!r}?" if near else f"known are {', '.join(sorted(known))}"
