"""The codecs that are chosen by name, and the choice itself."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from door43fast import contracts
from door43fast.codecs import resolve
from door43fast.errors import ConfigError, CorruptError, UnsupportedError

NAMES = ["auto", "raw", "json", "msgpack", "numpy", "pickle"]
TEXT = st.text(st.characters(codec="utf-8"), max_size=8)
FINITE = st.floats(allow_nan=False, allow_infinity=False)


def back(codec, value):
    return codec.decode(*codec.encode(value))


@given(st.recursive(st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | FINITE | TEXT,
                    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4)))
def test_json(value):
    got = back(resolve("json"), value)
    assert got == value and repr(got) == repr(value)


@pytest.mark.parametrize(("value", "error", "place"), [
    ([float("nan")], ValueError, r"value\[0\]"), ({"a": 2**63}, ValueError, r"value\['a'\]"),
    ((1,), TypeError, "tuple"),
    ({"a": {1: 2}}, TypeError, r"value\['a'\]\[1\]"), (b"", TypeError, "bytes"),
    ({"a": "\ud800"}, ValueError, "surrog"),
])
def test_json_refuses_what_it_would_change(value, error, place):
    with pytest.raises(error, match=place):
        resolve("json").encode(value)


def test_json_depth():
    value = cycle = []
    cycle.append(value)
    with pytest.raises(TypeError, match="holds itself"):
        resolve("json").encode(value)


@pytest.mark.parametrize("value", [b"", "text", 1, [1, (2, {3})], {"a": np.arange(3)}, np.arange(3), bytearray(b"x")])
def test_msgpack(value):
    codec = resolve("msgpack")
    assert codec.encode(value)[0] == contracts.MSGPACK
    got = back(codec, value)
    assert type(got) is type(value) and str(got) == str(value)


def test_raw():
    codec = resolve("raw")
    assert [back(codec, value) for value in (b"a", bytearray(b"a"), memoryview(b"axa")[:1])] == [b"a"] * 3
    for value in ("a", 1, None, np.zeros(3)):
        with pytest.raises(TypeError, match='codec="raw"'):
            codec.encode(value)


def test_numpy():
    codec = resolve("numpy")
    assert back(codec, np.arange(3)).tolist() == [0, 1, 2]
    for value in ([1, 2], b"", np.float64(1)):
        with pytest.raises(TypeError, match='codec="numpy"'):
            codec.encode(value)


def test_pickle_is_read_by_its_name_alone():
    mark, payload = resolve("pickle").encode({1j})
    assert mark == contracts.PICKLE and resolve("pickle").decode(mark, payload) == {1j}
    for name in NAMES[:-1]:
        with pytest.raises(UnsupportedError, match="runs code"):
            resolve(name).decode(mark, payload)
    with pytest.raises(CorruptError):
        resolve("pickle").decode(mark, b"junk")


@pytest.mark.parametrize("name", NAMES)
def test_every_codec_reads_the_marks_of_the_others(name):
    for other, value in [("auto", "é"), ("auto", [1, (2,)]), ("raw", b"abc"), ("json", {"a": None})]:
        assert resolve(name).decode(*resolve(other).encode(value)) == value


@pytest.mark.parametrize("name", NAMES)
def test_codecs_pickle_by_name(name):
    assert pickle.loads(pickle.dumps(resolve(name))).name == name == resolve(name).name
    assert resolve(resolve(name)) is resolve(name)


def test_the_choice():
    class Own:
        name = "own"

        def encode(self, value):
            return 77, value

        def decode(self, mark, payload):
            return payload

    own = Own()
    assert resolve(own) is own
    for wrong, sentence in [("msgpak", "did you mean 'msgpack'"), ("", "auto, json"), (Own, r"Own\(\)"),
                            (object(), "encode and decode and name"), (None, "not a codec")]:
        with pytest.raises(ConfigError, match=sentence):
            resolve(wrong)
