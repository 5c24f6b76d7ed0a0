"""How a call of a layer failed: it was not made, or not answered in time. See ``errors.blames_layer``."""

from __future__ import annotations

from door43fast.errors import BackendUnavailableError


class Spared(BackendUnavailableError):
    """A layer was not asked, since it has failed before: what was to be done there was not done."""


class Late(BackendUnavailableError):
    """A layer has not answered within its deadline: it is not known what it did, and it may do it yet."""


def reached(error: BaseException) -> bool:
    """Whether a write that ended so may have taken effect."""
    return not isinstance(error, Spared)
