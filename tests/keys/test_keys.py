"""Every mode of KeyCodec: what was encoded is decoded, and bytes are in the order of the keys."""

import pickle
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from door43fast.errors import ConfigError, CorruptError, UnsupportedError
from door43fast.lmdb import LmdbStore
from door43fast.native.keys import KeyCodec

TEXT = st.text(st.characters(codec="utf-8"), max_size=12) | st.text("a\0\x01\x7f\x80\xff\U0010ffff", max_size=6)
BYTES = st.binary(max_size=12) | st.lists(st.sampled_from([0, 1, 254, 255]), max_size=6).map(bytes)
INTS = st.integers() | st.integers(-(2**64) - 2, -(2**64) + 2) | st.sampled_from(
    [sign * (2**bits + near) for sign in (1, -1) for bits in (0, 8, 16, 56, 63, 64, 72, 2000) for near in (-1, 0, 1)])
FLOATS = st.floats(allow_nan=False)
NESTED = st.recursive(TEXT | BYTES | INTS | FLOATS, lambda inner: st.lists(inner, max_size=4).map(tuple), max_leaves=8)


def rank(key):
    """The order that keys="any" promises: bytes, str, tuple, int, float, and by value within each."""
    if isinstance(key, tuple):
        return (2, [rank(element) for element in key])
    return ([bytes, str, tuple, int, float].index(type(key)), key)


def is_empty(key):
    return isinstance(key, (str, bytes, tuple)) and len(key) == 0


WITHIN = {
    "str": TEXT.filter(bool),
    "bytes": BYTES.filter(bool),
    "int": st.integers(-(2**63), 2**63 - 1),
    "any": NESTED.filter(lambda key: not is_empty(key)),
}


@pytest.mark.parametrize("mode", WITHIN)
def test_round_trip_and_order(mode):
    codec = KeyCodec(mode)

    @given(WITHIN[mode], WITHIN[mode])
    def check(a, b):
        first, second = codec.encode(a), codec.encode(b)
        assert codec.decode(first) == a and type(codec.decode(first)) is type(a)
        assert (first < second) == (rank(a) < rank(b))
        assert (first == second) == (rank(a) == rank(b))

    check()


@pytest.mark.parametrize("mode", ["str", "bytes"])
def test_bounds_hold_exactly_the_keys_with_the_prefix(mode):
    codec = KeyCodec(mode)

    @given(WITHIN[mode], st.data())
    def check(key, data):
        p = data.draw(st.sampled_from([key[:n] for n in range(len(key) + 1)]) | WITHIN[mode])
        first, beyond = codec.bounds(p)
        encoded = codec.encode(key)
        assert encoded.startswith(codec.prefix(p)) == key.startswith(p)
        assert (first <= encoded and (beyond is None or encoded < beyond)) == key.startswith(p)

    check()


@given(WITHIN["any"], st.data())
def test_bounds_of_any(key, data):
    codec = KeyCodec("any")
    parts = [key[:n] for n in range(len(key) + 1)] if isinstance(key, (str, bytes, tuple)) else []
    p = data.draw(st.sampled_from([*parts, ""]) | TEXT | BYTES | st.lists(NESTED, max_size=2).map(tuple))
    if is_empty(p) and not isinstance(p, tuple):
        within = True
    elif isinstance(p, tuple):
        within = isinstance(key, tuple) and rank(key[:len(p)]) == rank(p)
    else:
        within = type(key) is type(p) and key.startswith(p)
    first, beyond = codec.bounds(p)
    encoded = codec.encode(key)
    assert (first <= encoded and (beyond is None or encoded < beyond)) == within
    assert encoded.startswith(codec.prefix(p)) or not within


def test_an_escaped_zero_is_not_the_end_of_an_element():
    codec = KeyCodec("any")
    other = codec.encode(("a\0b",))
    first, beyond = codec.bounds(("a",))
    assert not first <= other < beyond
    assert first <= codec.encode(("a", 1)) < beyond


@pytest.mark.parametrize(("key", "encoded"), [
    # the examples of FoundationDB's design/tuple.md
    (b"foo\x00bar", b"\x01foo\x00\xffbar\x00"),
    ("FÔO\x00bar", b"\x02F\xc3\x94O\x00\xffbar\x00"),
    (("foo\x00bar", ()), b"\x05\x02foo\x00\xffbar\x00\x05\x00\x00"),
    (-5551212, b"\x11\xabK\x93"),
    (0, b"\x14"), (1, b"\x15\x01"), (-1, b"\x13\xfe"), (255, b"\x15\xff"), (256, b"\x16\x01\x00"),
    (2**64 - 1, b"\x1c" + b"\xff" * 8), (-(2**64) + 1, b"\x0c" + b"\x00" * 8),
    (2**64, b"\x1d\x09\x01" + b"\x00" * 8), (-(2**64), b"\x0b\xf6\xfe" + b"\xff" * 8),
    (1.0, b"\x21\xbf\xf0" + b"\x00" * 6), (-1.0, b"\x21" + bytes(b ^ 0xff for b in struct.pack(">d", -1.0))),
])
def test_the_tuple_layer_of_foundationdb(key, encoded):
    assert KeyCodec("any").encode(key) == encoded
    assert KeyCodec("any").decode(encoded) == key


@pytest.mark.parametrize(("mode", "key"), [
    ("str", b"a"), ("str", 1), ("str", None), ("bytes", "a"), ("bytes", 1), ("int", "1"), ("int", 1.0), ("int", True),
    ("any", None), ("any", True), ("any", [1]), ("any", ("a", None)), ("any", (1, (False,))), ("any", {1}),
])
def test_a_key_of_the_wrong_type_names_the_option(mode, key):
    with pytest.raises(TypeError, match="keys="):
        KeyCodec(mode).encode(key)


@pytest.mark.parametrize(("mode", "key"), [
    ("str", ""), ("str", "a\ud800"), ("bytes", b""), ("int", 2**63), ("int", -(2**63) - 1), ("any", ""), ("any", b""),
    ("any", ()), ("any", "\udfff"), ("any", (1, "\udfff")), ("any", float("nan")), ("any", 1 << 2040),
    ("any", -(1 << 2040)),
])
def test_a_key_that_cannot_be_held_is_refused(mode, key):
    with pytest.raises(ValueError, match="key"):
        KeyCodec(mode).encode(key)


def test_deep_tuples_are_refused():
    key = ()
    for _ in range(100_000):
        key = (key,)
    with pytest.raises(ValueError, match="levels"):
        KeyCodec("any").encode(key)
    while key:  # taken apart by hand: the interpreter would free it by recursion
        (key,) = key


def test_what_counts_as_its_content():
    class Name(str):
        __slots__ = ()

        def encode(self, *_):
            raise AssertionError("a str is taken by content")

    for mode in ("str", "any"):
        assert KeyCodec(mode).decode(KeyCodec(mode).encode(Name("a"))) == "a"
    for mode in ("bytes", "any"):
        for same in (bytearray(b"ab"), memoryview(b"axbx")[::2]):
            assert KeyCodec(mode).encode(same) == KeyCodec(mode).encode(b"ab")
    for mode in ("int", "any"):
        assert KeyCodec(mode).encode(np.int64(-7)) == KeyCodec(mode).encode(-7)
    assert KeyCodec("any").encode(-0.0) == KeyCodec("any").encode(0.0)


def test_prefixes_that_are_refused():
    with pytest.raises(UnsupportedError, match="start="):
        KeyCodec("int").prefix("1")
    for mode, p in [("str", b"a"), ("bytes", "a"), ("any", 1)]:
        with pytest.raises(TypeError, match="keys="):
            KeyCodec(mode).prefix(p)
    assert [KeyCodec(mode).bounds("") for mode in WITHIN] == [(b"", None)] * 4


def test_an_unknown_mode_suggests_the_nearest():
    with pytest.raises(ConfigError, match="did you mean 'bytes'"):
        KeyCodec("byte")
    with pytest.raises(ConfigError, match="any, bytes, int, str"):
        KeyCodec(None)


def test_pickles_by_its_mode():
    assert pickle.loads(pickle.dumps(KeyCodec("int"))).name == "int"


@given(st.binary(max_size=40) | st.lists(st.sampled_from(b"\0\1\2\5\x0b\x0c\x13\x14\x15\x1c\x1d\x21\xf6\xff"),
                                         max_size=24).map(bytes))
def test_bytes_of_others_are_a_key_or_corrupt(data):
    codec = KeyCodec("any")
    try:
        key = codec.decode(data)
    except CorruptError:
        return
    if not is_empty(key):
        assert codec.encode(key) == data


@pytest.mark.parametrize(("mode", "data"), [
    ("str", b"\xff"), ("int", b"1234567"), ("any", b""), ("any", b"\x05" * 1000)])
def test_damaged_keys(mode, data):
    with pytest.raises(CorruptError, match="verify"):
        KeyCodec(mode).decode(data)


def test_a_transaction_orders_keys_of_several_types_as_the_store_does(tmp_path):
    keys = [b"b", "a", "b", ("a", 1), ("b",), -1, 7, 2.5]
    with LmdbStore(tmp_path, keys="any") as store:
        for key in keys[::2]:
            store[key] = 0
        with store.transaction() as t:
            for key in keys[1::2]:
                t[key] = 1
            assert list(t) == keys
            assert [key for key, _ in t.scan(start=0, stop=100)] == [7]
            assert [key for key, _ in t.scan(("a",))] == [("a", 1)] and [key for key, _ in t.scan("b")] == ["b"]
        assert list(store) == keys
