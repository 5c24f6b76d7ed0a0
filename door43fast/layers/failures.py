"""What is a failure of a layer, and what only the caller's own mistake or a rule that the layer keeps."""

from __future__ import annotations

from door43fast.errors import (
    BackendUnavailableError, BudgetError, ClosedError, ConflictError, DeadlockError, LostEventsError, PrunedError,
    RateError, UnsupportedError)

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


class Spared(BackendUnavailableError):
    """A layer was not asked, since it has failed before: what was to be done there was not done."""


class Late(BackendUnavailableError):
    """A layer has not answered within its deadline: it is not known what it did, and it may do it yet."""


def reached(error: BaseException) -> bool:
    """Whether a write that ended so may have taken effect."""
    return not isinstance(error, Spared)
