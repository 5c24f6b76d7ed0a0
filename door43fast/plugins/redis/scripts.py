"""The scripts that the server runs: each is a step that nobody else comes in between.

They compare versions and never values. A version is eight bytes near the end of a record's frame (see ``record.py``),
another one for each write of any store, so that equal versions are the same write.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

VERSION = (-24, -17)    # where it stands in a frame
ABSENT = b""

# KEYS: records to compare, tags to compare, records to write.
# ARGV: how many of the first two, and of spans; versions; generations; pattern and number of names for each span; frame
# and milliseconds for each write.
SWAP = b"""
local records, tags, spans = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
for i = 1, records do
  if redis.call('GETRANGE', KEYS[i], %d, %d) ~= ARGV[i + 3] then return 0 end
end
for i = records + 1, records + tags do
  if (redis.call('GET', KEYS[i]) or '') ~= ARGV[i + 3] then return 0 end
end
local at = records + tags + 4
for i = 1, spans do
  if #redis.call('KEYS', ARGV[at]) ~= tonumber(ARGV[at + 1]) then return 0 end
  at = at + 2
end
for i = records + tags + 1, #KEYS do
  if ARGV[at] == '' then redis.call('UNLINK', KEYS[i])
  elseif ARGV[at + 1] == '0' then redis.call('SET', KEYS[i], ARGV[at])
  else redis.call('SET', KEYS[i], ARGV[at], 'PX', ARGV[at + 1]) end
  at = at + 2
end
return 1
""" % VERSION

# KEYS: a claim. ARGV: whose it is to be, for how many milliseconds, and who may have it so far: nobody if that is
# empty. The answer is whose it is then.
CLAIM = b"""
local held = redis.call('GET', KEYS[1])
if held and held ~= ARGV[3] then return held end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return ARGV[1]
"""

# KEYS: a claim. ARGV: whose it is.
RELEASE = b"""
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('UNLINK', KEYS[1]) end
return 0
"""

# KEYS: a claim. ARGV: whose it is, and for how many milliseconds more.
RENEWAL = b"""
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 0
"""

DIGEST, OF_CLAIM, OF_RELEASE, OF_RENEWAL = (
    hashlib.sha1(text).hexdigest().encode() for text in (SWAP, CLAIM, RELEASE, RENEWAL))
TEXTS = {DIGEST: SWAP, OF_CLAIM: CLAIM, OF_RELEASE: RELEASE, OF_RENEWAL: RENEWAL}


def text_of(digest: Any) -> bytes:
    """The script with this digest."""
    return TEXTS[digest]


def put(writes: Sequence[tuple[bytes, bytes, int]]) -> tuple[Any, ...]:
    """The command that makes all ``writes``, whatever is there. The script is sent with it, for it may stand in a
    transaction, where it is too late to send it."""
    arguments = swap((), (), writes)
    return ("EVAL", SWAP, *arguments[2:])


def swap(records: Sequence[tuple[bytes, bytes]], tags: Sequence[tuple[bytes, bytes]],
         writes: Sequence[tuple[bytes, bytes, int]], spans: Sequence[tuple[bytes, int]] = ()) -> tuple[Any, ...]:
    """The command that makes all ``writes`` (name, frame or nothing, milliseconds or 0) if all of ``records`` have
    these versions and ``tags`` these generations, and there are as many names to each pattern as ``spans`` say. The
    answer is 1 or 0."""
    keys = [name for name, _ in records] + [name for name, _ in tags] + [name for name, _, _ in writes]
    values: list[Any] = [len(records), len(tags), len(spans)]
    values += [version for _, version in records]
    values += [generation for _, generation in tags]
    for span in spans:
        values += span
    for _, frame, milliseconds in writes:
        values += (frame, milliseconds)
    return ("EVALSHA", DIGEST, len(keys), *keys, *values)


def version(record: Any) -> bytes:
    """What a script finds where this record stands; nothing for None."""
    return ABSENT if record is None else record.version.to_bytes(8, "little")
