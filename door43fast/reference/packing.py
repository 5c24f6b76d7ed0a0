"""Packed batches of the reference engine: the same ``Packed`` as everywhere, filled value by value."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from door43fast.contracts import MISSING
from door43fast.errors import UnsupportedError


def builder(count: int, out: Any = None) -> Any:
    try:
        from door43fast.native.packed import PackedBuilder
    except ImportError as error:
        raise UnsupportedError("packed batches need door43fast's native modules, which are not installed here: "
                               "use get_many and set_many") from error
    return PackedBuilder(count, out)


def payload(key: Any, value: Any) -> Any:
    if not isinstance(value, (bytes, bytearray, memoryview)):
        raise TypeError(f"key {key!r} holds {type(value).__name__}, and a packed batch takes bytes only: "
                        "read it with get()")
    return value


def pack(keys: list[Any], values: list[Any], out: Any) -> Any:
    """The values in one ``Packed``, those that are MISSING as not found."""
    built = builder(len(keys), out)
    for key, value in zip(keys, values, strict=True):
        built.add(key, None if value is MISSING else payload(key, value))
    return built.build()


def unpack(keys: Iterable[Any], data: Any, offsets: Any) -> list[tuple[Any, bytes]]:
    """The pairs that ``set_packed`` was given."""
    from door43fast.native.packed import Packed
    keys = list(keys)
    values = Packed(data, offsets)
    if len(values) != len(keys):
        raise ValueError(f"there are {len(keys)} keys and offsets for {len(values)} values")
    return list(zip(keys, values, strict=True))     # type: ignore[arg-type]


def pack_pairs(records: Iterator[tuple[Any, Any]], chunk: int) -> Iterator[tuple[Any, Any]]:
    """``(keys, values)`` of the records, up to ``chunk`` at a time; keys are in UTF-8."""
    if not isinstance(chunk, int) or chunk < 1:
        raise ValueError(f"chunk={chunk!r} must be a whole number of 1 or more")
    return _chunks(records, chunk)


def _chunks(records: Iterator[tuple[Any, Any]], chunk: int) -> Iterator[tuple[Any, Any]]:
    while part := list(islice(records, chunk)):
        keys, values = builder(len(part)), builder(len(part))
        for key, value in part:
            keys.add(key, key if isinstance(key, bytes) else key.encode())
            values.add(key, payload(key, value))
        yield keys.build(), values.build()
