"""Stores of several open ones, by the calls ``d43.parallel(...)`` and the like."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from door43fast.errors import ConfigError, did_you_mean


def make(kind: type[Any], call: str, stores: Sequence[Any], options: dict[str, Any]) -> Any:
    """A store of this kind; an option that it does not have is refused with the nearest that it has."""
    known = [name for name, one in inspect.signature(kind).parameters.items() if one.kind is one.KEYWORD_ONLY]
    for name in options:
        if name not in known:
            raise ConfigError(f"{call} has no option {name!r}: {did_you_mean(name, known)}")
    return kind(*stores, **options)
