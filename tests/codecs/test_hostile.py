"""Bytes that nobody wrote are a value or a CorruptError: no crash, no code run, no giant allocation."""

import struct
import tracemalloc

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from door43fast.codecs import resolve
from door43fast.contracts import JSON, MSGPACK, NUMPY, RAW, STR
from door43fast.errors import BackendUnavailableError, CorruptError

AUTO = resolve("auto")
MARKS = [RAW, STR, MSGPACK, JSON, NUMPY]
WRITTEN = [AUTO.encode(value) for value in (
    [1, (2, {3}), {"a": 2**70, (1,): bytearray(b"x")}], {"a": np.arange(4.0), "b": [None] * 20}, np.ones((2, 3), "F"),
    np.zeros(2, [("a", "i4"), ("b", "<f8", (2,))]), "text", {"long": "x" * 40, "list": list(range(20))})]
OPCODES = st.lists(st.sampled_from(
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0x80, 0x81, 0x90, 0x91, 0xA1, 0xC0, 0xC1, 0xC4, 0xC7, 0xC8, 0xC9, 0xCA, 0xCB, 0xCF,
     0xD4, 0xD5, 0xD8, 0xD9, 0xDB, 0xDC, 0xDD, 0xDE, 0xDF, 0xE0, 0xFF]), max_size=24).map(bytes)


def read(mark, payload):
    try:
        return AUTO.decode(mark, payload)
    except (CorruptError, BackendUnavailableError):
        return None


@settings(max_examples=400)
@given(st.sampled_from(MARKS), st.binary(max_size=64) | OPCODES)
def test_random_bytes(mark, payload):
    read(mark, payload)


@settings(max_examples=400)
@given(st.sampled_from(WRITTEN), st.data())
def test_damaged_bytes(written, data):
    mark, payload = written
    damaged = bytearray(payload)
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    read(mark, bytes(damaged[:data.draw(st.integers(0, len(payload)))]))
    read(mark, bytes(damaged))


@pytest.mark.parametrize(("mark", "payload"), [
    (MSGPACK, b""), (MSGPACK, b"\x01\x01"), (MSGPACK, b"\xdd\xff\xff\xff\xff"), (MSGPACK, b"\xdf\xff\xff\xff\xff\x01"),
    (MSGPACK, b"\x91" * 100_000 + b"\x01"), (MSGPACK, b"\xc6\xff\xff\xff\xff"), (MSGPACK, b"\xc1"),
    (MSGPACK, msgspec.msgpack.encode(msgspec.msgpack.Ext(1, b"\xdd\xff\xff\xff\xff"))),
    (MSGPACK, msgspec.msgpack.encode(msgspec.msgpack.Ext(1, b"\x01"))),
    (MSGPACK, msgspec.msgpack.encode(msgspec.msgpack.Ext(2, b"\x91\x90"))),
    (MSGPACK, msgspec.msgpack.encode(msgspec.msgpack.Ext(8, b"\x91\x01"))),
    (MSGPACK, msgspec.msgpack.encode(msgspec.msgpack.Ext(99, b""))),
    (MSGPACK, msgspec.msgpack.encode(msgspec.msgpack.Ext(7, b"\0" * 12))), (STR, b"\xff"), (JSON, b"[" * 100_000),
    (JSON, b"{"), (JSON, b""), (JSON, b'"\\'), (NUMPY, b""), (NUMPY, struct.pack("<BBI", 0, 255, 0) + b"\0" * 4000),
    (NUMPY, struct.pack("<BBIQ", 0, 1, 4, 2**62) + b"\xa3<f8"),
    (NUMPY, struct.pack("<BBI", 0, 0, 3) + b"\xa2|O" + b"\0" * 8),
    (NUMPY, struct.pack("<BBIQ", 0, 1, 5, 2**62) + b"\xdd\xff\xff\xff\xff"),
    (NUMPY, struct.pack("<BBI", 0, 0, 2**32 - 1)),
    (6, b""), (255, b""), (-1, b""),
])
def test_what_is_none(mark, payload):
    with pytest.raises(CorruptError):
        AUTO.decode(mark, payload)


NEST = b"\xdd\x1f\xff\xff\xff"     # an array that claims half a thousand million elements


@pytest.mark.parametrize(("mark", "payload"), [
    (MSGPACK, NEST * 50), (MSGPACK, NEST + b"\x01" * 10), (MSGPACK, b"\xc9\x00\x00\x00\x05\x01" + NEST),
    (NUMPY, struct.pack("<BBIQ", 0, 1, 5, 0) + NEST), (NUMPY, struct.pack("<BBIQ", 0, 1, 4, 2**27) + b"\xa3<f8"),
])
def test_no_giant_allocation(mark, payload):
    tracemalloc.start()
    try:
        with pytest.raises(CorruptError):
            AUTO.decode(mark, payload)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_json_text_is_not_taken_for_nesting():
    value = {"a": "[" * 1000, "\\\"": ["{\\" * 500]}
    codec = resolve("json")
    assert codec.decode(*codec.encode(value)) == value
