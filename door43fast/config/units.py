"""Sizes and spans of time, as numbers or as texts such as "256MB" and "5m"."""

from __future__ import annotations

import math
import re
from datetime import timedelta
from typing import Any

from door43fast.errors import ConfigError

SIZES = {"": 1, "B": 1, "K": 1 << 10, "KB": 1 << 10, "M": 1 << 20, "MB": 1 << 20, "G": 1 << 30, "GB": 1 << 30,
         "T": 1 << 40, "TB": 1 << 40, "KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30, "TIB": 1 << 40}
SPANS = {"": 1.0, "ms": 1e-3, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
NUMBER = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*")


def size(text: Any, option: str) -> int:
    """Bytes of a size given as a number or as text such as ``"256MB"`` (units of 1024)."""
    if isinstance(text, int) and not isinstance(text, bool) and text >= 0:
        return text
    match = NUMBER.fullmatch(text) if isinstance(text, str) else None
    if match is None or match[2].upper() not in SIZES:
        raise ConfigError(f"{option}={text!r} is not a size: give bytes, or a text such as '256MB' or '1GB'")
    return int(float(match[1]) * SIZES[match[2].upper()])


def duration(text: Any, option: str) -> float:
    """Seconds of a span given as a number, a timedelta, or text such as ``"5m"`` or ``"100ms"``."""
    if isinstance(text, timedelta):
        text = text.total_seconds()
    if isinstance(text, (int, float)) and not isinstance(text, bool) and math.isfinite(text) and text >= 0:
        return text
    match = NUMBER.fullmatch(text) if isinstance(text, str) else None
    if match is None or match[2] not in SPANS:
        raise ConfigError(f"{option}={text!r} is not a span of time: give seconds, or a text such as '5m', '1.5h' or "
                          f"'100ms' ({', '.join(unit for unit in SPANS if unit)})")
    return float(match[1]) * SPANS[match[2]]
