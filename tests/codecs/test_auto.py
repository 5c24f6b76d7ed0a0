"""codec="auto": what was set is what comes back, equal and of the same type, or it is refused with its place."""

import collections
import datetime as dt
import enum
import math
import pickle
import types
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import door43fast as d43
from door43fast import contracts
from door43fast.codecs import resolve

AUTO = resolve("auto")


def back(value):
    return AUTO.decode(*AUTO.encode(value))


def same(a, b):
    """Equal and of the same type all the way down; NaN equals NaN, and 0.0 differs from -0.0."""
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, float):
        return a == b and math.copysign(1, a) == math.copysign(1, b) or (a != a and b != b)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a.items(), b.items(), strict=True))
    if isinstance(a, dt.datetime):
        return a == b and a.fold == b.fold and repr(a) == repr(b)
    if isinstance(a, (set, frozenset)):
        return len(a) == len(b) and all(any(same(x, y) for y in b) for x in a)
    return a == b


TEXT = st.text(st.characters(codec="utf-8"), max_size=8)
OFFSETS = st.timedeltas(dt.timedelta(hours=-23, minutes=-59), dt.timedelta(hours=23, minutes=59))
ZONES = (st.none() | st.just(dt.UTC) | OFFSETS.map(dt.timezone) | st.builds(dt.timezone, OFFSETS, TEXT)
         | st.sampled_from(["Europe/Berlin", "Africa/Nairobi", "UTC"]).map(ZoneInfo))
MOMENTS = st.builds(lambda moment, fold: moment.replace(fold=fold),
                    st.datetimes(timezones=ZONES, allow_imaginary=True), st.integers(0, 1))
INTS = st.integers() | st.integers(2**63 - 2, 2**64 + 2) | st.integers(-(2**63) - 2, -(2**63) + 2)
HASHABLE = st.recursive(st.none() | st.booleans() | INTS | st.floats(allow_nan=False) | TEXT | st.binary(max_size=8)
                        | MOMENTS, lambda inner: st.lists(inner, max_size=3).map(tuple)
                        | st.frozensets(inner, max_size=3), max_leaves=4)
ARRAYS = hnp.arrays(
    hnp.scalar_dtypes() | hnp.byte_string_dtypes(min_len=1) | hnp.unicode_string_dtypes(min_len=1)
    | hnp.nested_dtypes(max_leaves=4).filter(lambda kind: kind.itemsize and not kind.subdtype),
    hnp.array_shapes(min_dims=0, min_side=0, max_dims=3, max_side=4))
VALUES = st.recursive(
    HASHABLE | st.floats() | st.binary(max_size=8).map(bytearray) | ARRAYS,
    lambda inner: st.lists(inner, max_size=4) | st.lists(inner, max_size=4).map(tuple)
    | st.dictionaries(HASHABLE | TEXT, inner, max_size=4) | st.sets(HASHABLE, max_size=4), max_leaves=12)


@settings(max_examples=300)
@given(VALUES.filter(lambda value: type(value) is not bytearray))
def test_what_was_set_is_what_comes_back(value):
    assert same(back(value), value)


@given(st.recursive(st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | TEXT | st.binary(),
                    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4)))
def test_plain_values_are_plain_messagepack(value):
    import msgspec

    if not isinstance(value, (str, bytes)):
        assert AUTO.encode(value) == (contracts.MSGPACK, msgspec.msgpack.encode(value))


def test_the_marks():
    assert AUTO.encode(b"a") == (contracts.RAW, b"a")
    assert AUTO.encode("é") == (contracts.STR, "é".encode())
    assert [AUTO.encode(value)[0] for value in (1, None, [], {}, (), {1}, 2**70)] == [contracts.MSGPACK] * 7
    assert AUTO.encode(np.zeros(3))[0] == contracts.NUMPY


@pytest.mark.parametrize("value", [bytearray(b"abc"), memoryview(b"abc"), memoryview(b"axbxcx")[::2]])
def test_buffers_are_copied_and_come_back_as_bytes(value):
    mark, payload = AUTO.encode(value)
    assert mark == contracts.RAW and type(payload) is bytes and payload == b"abc"
    assert AUTO.decode(mark, payload) == b"abc"


@pytest.mark.parametrize("array", [
    np.arange(12).reshape(3, 4).T, np.arange(20)[::3], np.asfortranarray(np.ones((3, 4), ">i2")), np.array(5.0),
    np.zeros((0, 3)), np.array(["2026-01-01", "NaT"], "M8[ms]"), np.array([3], "m8[25us]"), np.ma.getdata([1, 2]),
    np.array([(1, 2.0)], [("a", "i4"), ("b", "<f8", (2,))]),
    np.zeros(2, np.dtype([("a", "u1"), ("b", "f8")], align=True)),
    np.zeros(3, np.float16), np.zeros(2, np.longdouble), np.array(["añ", ""]), np.zeros(2, [(("title", "a"), "u2")]),
], ids=lambda array: f"{array.dtype}{array.shape}"[:40])
def test_arrays(array):
    got = back(array)
    assert same(got, array)
    assert got.flags.writeable and got.flags.owndata
    assert got.flags.f_contiguous == array.flags.f_contiguous or not array.flags.forc
    assert same(back({"a": [array]}), {"a": [array]})


class Colour(enum.IntEnum):
    RED = 1


class Name(str):
    __slots__ = ()


Point = collections.namedtuple("Point", "x y")
CYCLE: list = []
CYCLE.append({"self": CYCLE})


class Zone(dt.tzinfo):
    def utcoffset(self, _):
        return dt.timedelta(0)


@pytest.mark.parametrize(("value", "place"), [
    (object(), "value is"), (Colour.RED, "value is"), ({"a": [1, 2, 3, np.float64(1)]}, r"value\['a'\]\[3\]"),
    ([Name("x")], r"value\[0\]"), (np.int64(1), "numpy.int64"), (Point(1, 2), "Point"), (CYCLE, "holds itself"),
    ({"a": {Colour.RED: 1}}, r"value\['a'\] key"), ((1, [{2, 3}, {"x": types}]), r"value\[1\]\[1\]\['x'\]"),
    (np.array([object()]), "dtype object"), ([np.array([None])], r"value\[0\].*object"),
    ([memoryview(b"")], "memoryview"),
    (collections.OrderedDict(), "OrderedDict"), (dt.date(2026, 1, 1), "date"), (1j, "complex"),
    ([dt.datetime(2026, 1, 1, tzinfo=Zone())], "tzinfo"), (np.zeros(3, "V0"), "dtype"),
    (np.ma.masked_array([1], [True]), "MaskedArray"), (np.zeros(1).view(np.recarray), "recarray"), (range(3), "range"),
])
def test_what_would_change_is_refused_with_its_place(value, place):
    with pytest.raises(TypeError, match=place) as caught:
        AUTO.encode(value)
    assert str(caught.value).startswith("value")


def test_depth():
    def nested(depth, wrap):
        value = 1
        for _ in range(depth):
            value = wrap(value)
        return value

    for wrap in (lambda v: [v], lambda v: (v,), lambda v: {"a": v}, lambda v: {None: v}, lambda v: frozenset((v,))):
        value = nested(200, wrap)
        assert back(value) == value
        with pytest.raises(TypeError, match="deeper than 200"):
            AUTO.encode(nested(201, wrap))


@pytest.mark.parametrize(("value", "place"), [
    ("a\ud800", "value holds"), (["\udfff"], r"value\[0\]"), ({"a": {"\ud800": 1}}, r"value\['a'\] key"),
    (("\ud800",), r"value\[0\]"),
])
def test_lone_surrogates_are_refused(value, place):
    with pytest.raises(ValueError, match=place):
        AUTO.encode(value)


def test_a_value_that_changes_while_it_is_walked():
    class Nasty:
        def __repr__(self):
            shared.clear()
            return "nasty"

    shared = [[1], {Nasty(): 1}]
    with pytest.raises(TypeError, match="key nasty"):
        AUTO.encode(shared)


def test_pickles_by_its_name():
    assert pickle.loads(pickle.dumps(AUTO)).name == "auto"


@pytest.mark.parametrize("value", [np.float64(1), np.int64(1), np.bool_(True), [np.float32(1)]])
def test_a_number_of_numpy_is_refused_with_what_gives_a_plain_one(value, tmp_path):
    with d43.LmdbStore(tmp_path) as store, pytest.raises(TypeError, match=r"take its \.item\(\)"):
        store["a"] = value
