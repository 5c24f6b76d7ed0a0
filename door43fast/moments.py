"""Datetimes that MessagePack's timestamp would change, as bytes: naive, folded, or with an offset or zone."""

from __future__ import annotations

import struct
from datetime import datetime, timedelta, timezone
from typing import Any

from door43fast.errors import BackendUnavailableError

FIELDS = struct.Struct(">HBBBBBIB")     # year to microsecond, then fold + 2 * kind
OFFSET = struct.Struct(">q")            # microseconds
NAIVE, FIXED, NAMED, ZONE = range(4)    # NAMED: a fixed offset with a name of its own, which follows


def pack(moment: datetime) -> bytes | None:
    """The bytes of ``moment``; None if its tzinfo is neither a ``datetime.timezone`` nor a named ``ZoneInfo``."""
    zone = moment.tzinfo
    if zone is None:
        kind, rest = NAIVE, b""
    elif type(zone) is timezone:
        offset = zone.utcoffset(None)
        rest = OFFSET.pack(offset // timedelta(microseconds=1))
        name = zone.tzname(None)
        kind = FIXED if name == timezone(offset).tzname(None) else NAMED
        rest += name.encode() if kind == NAMED else b""
    else:
        from zoneinfo import ZoneInfo

        if type(zone) is not ZoneInfo or zone.key is None:
            return None
        kind, rest = ZONE, zone.key.encode()
    return FIELDS.pack(moment.year, moment.month, moment.day, moment.hour, moment.minute, moment.second,
                       moment.microsecond, moment.fold + 2 * kind) + rest


def unpack(payload: Any) -> datetime:
    """The datetime of ``pack``; ValueError or struct.error if the bytes are none."""
    payload = bytes(payload)
    *fields, flags = FIELDS.unpack_from(payload)
    rest = payload[FIELDS.size:]
    fold, kind = flags & 1, flags >> 1
    if kind == NAIVE and not rest:
        return datetime(*fields, fold=fold)
    if kind in (FIXED, NAMED):
        offset = timedelta(microseconds=OFFSET.unpack_from(rest)[0])
        name = rest[OFFSET.size:].decode()
        return datetime(*fields, fold=fold).replace(
            tzinfo=timezone(offset, name) if kind == NAMED else timezone(offset))
    if kind == ZONE:
        from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

        try:
            return datetime(*fields, fold=fold).replace(tzinfo=ZoneInfo(rest.decode()))
        except ZoneInfoNotFoundError as error:
            raise BackendUnavailableError(f"a stored datetime is in the time zone {rest.decode()!r}, which this "
                                          "machine does not know; install tzdata (pip install tzdata)") from error
    raise ValueError("a stored datetime is of an unknown kind")
