"""Packed is a sequence of bytes over three arrays, and refuses those that would read beyond its memory."""

import gc
import pickle
import subprocess
import sys
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from door43fast.errors import ConfigError
from door43fast.native.packed import Packed, PackedBuilder

VALUES = st.lists(st.none() | st.binary(max_size=20), max_size=40)


def pack(values):
    builder = PackedBuilder()
    for i, value in enumerate(values):
        builder.add(i, value)
    return builder.build()


@given(VALUES, st.slices(20), st.data())
def test_it_is_the_list_of_its_values(values, part, data):
    packed = pack(values)
    assert isinstance(packed, Sequence)
    assert len(packed) == len(values)
    assert list(packed) == packed.tolist() == values
    assert list(reversed(packed)) == values[::-1]
    assert [packed[i] for i in range(-len(values), 0)] == values
    assert packed[part].tolist() == values[part]
    assert packed == pack(values) == pickle.loads(pickle.dumps(packed))
    assert packed.data.dtype == np.uint8 and packed.offsets.dtype == np.int64 and packed.found.dtype == np.bool_
    assert packed.nbytes == packed.data.size + 8 * (len(values) + 1) + len(values)
    if values:
        value = data.draw(st.sampled_from(values))
        assert value in packed
        assert packed.index(value) == values.index(value) and packed.count(value) == values.count(value)
        changed = values[:-1] + [b"other"]
        assert (packed == pack(changed)) == (values == changed)
        assert packed != pack(values[1:])


def test_the_parts_of_a_part():
    values = [bytes([i]) * i for i in range(50)]
    whole = pack(values)
    part = whole[10:40][5:20]
    assert part.tolist() == values[15:30]
    assert pickle.loads(pickle.dumps(part)) == part
    assert np.shares_memory(part.data, whole.data) and np.shares_memory(part.offsets, whole.offsets)


@pytest.mark.parametrize(("data", "offsets", "found", "error"), [
    (b"abc", [0, 4], None, ValueError), (b"abc", [-1, 2], None, ValueError), (b"abc", [0, 2, 1], None, ValueError),
    (b"abc", [], None, ValueError), (b"abc", [0, 3], [True, False], ValueError), (b"abc", [0.0, 3.0], None, TypeError),
    (b"abc", np.array([0, 2**63 + 8], np.uint64), None, ValueError), (b"abc", [[0, 3]], None, TypeError),
    (np.zeros((4, 4), np.uint8)[:, ::2], [0, 2], None, ValueError), (np.array([object()]), [0, 1], None, TypeError),
    (b"abc", [0, 3], [1], TypeError), (b"abc", [0, 2**62, 3], None, ValueError), ("abc", [0, 3], None, TypeError),
])
def test_input_that_would_read_beyond_its_memory_is_refused(data, offsets, found, error):
    with pytest.raises(error):
        Packed(data, offsets, found)


def test_offsets_that_are_spoilt_afterwards_are_noticed():
    offsets = np.array([0, 1, 2], np.int64)
    packed = Packed(b"ab", offsets)
    assert not packed.offsets.flags.writeable
    offsets[1] = 1 << 40
    for read in (lambda: packed[1], packed.tolist, packed.__arrow_c_array__, lambda: packed[::2]):
        with pytest.raises(ValueError, match="ascend"):
            read()


def test_rows_of_other_types_are_their_bytes():
    rows = np.arange(6, dtype=np.float32).reshape(3, 2)
    packed = Packed(rows, [0, 8, 16, 24])
    assert [np.frombuffer(value, np.float32).tolist() for value in packed] == rows.tolist()
    assert np.shares_memory(packed.data, rows)


def test_positions_that_are_none():
    packed = pack([b"a"])
    for position in (1, -2):
        with pytest.raises(IndexError, match="1 values"):
            packed[position]
    with pytest.raises(TypeError, match="str"):
        packed["a"]
    with pytest.raises(ValueError, match="not in"):
        packed.index(b"b")
    with pytest.raises(TypeError, match="unhashable"):
        hash(packed)


def test_rows_go_into_the_arrays_of_the_caller():
    out = np.full((3, 4), 9, np.uint8)
    builder = PackedBuilder(3, out)
    builder.add("a", b"abcd")
    builder.add("b", None)
    builder.add("c", b"efgh")
    packed = builder.build()
    assert out.tobytes() == b"abcd\0\0\0\0efgh"
    assert packed.tolist() == [b"abcd", None, b"efgh"]
    assert np.shares_memory(packed.data, out)
    with pytest.raises(ValueError, match="finished"):
        builder.add("d", b"abcd")
    with pytest.raises(ValueError, match="finished"):
        builder.build()


def test_rows_of_another_size_name_the_key():
    builder = PackedBuilder(2, np.zeros((2, 4), np.uint8))
    for value in (b"abc", b"abcde", b""):
        with pytest.raises(ValueError, match=f"'k' has {len(value)} bytes"):
            builder.add("k", value)
    builder.add("a", b"abcd")
    builder.add("b", b"abcd")
    with pytest.raises(ConfigError, match="2 rows"):
        builder.add("c", b"abcd")
    assert builder.build().tolist() == [b"abcd"] * 2


@pytest.mark.parametrize("out", [
    np.zeros((2, 4), np.int8), np.zeros(8, np.uint8), np.zeros((3, 4), np.uint8), np.zeros((2, 8), np.uint8)[:, ::2],
    np.zeros((4, 2), np.uint8).T.reshape(2, 4)[::-1], bytearray(8), np.broadcast_to(np.uint8(0), (2, 4)),
])
def test_an_out_that_cannot_be_filled_is_refused(out):
    with pytest.raises(ConfigError, match="out="):
        PackedBuilder(2, out)


def test_no_numpy_at_import():
    code = "import sys, door43fast.native.packed; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_large_batches_grow():
    packed = pack([b"x" * 1000] * 5000)
    assert packed.data.size == 5_000_000 and set(packed) == {b"x" * 1000}


@given(VALUES, st.slices(20))
def test_arrow(values, part):
    import pyarrow as pa
    for packed, expected in [(pack(values), values), (pack(values)[part], values[part])]:
        array = pa.array(packed)
        array.validate(full=True)
        assert array.type == pa.large_binary() and array.to_pylist() == expected
        assert array.null_count == expected.count(None)


def test_arrow_shares_the_memory_and_keeps_it():
    import pyarrow as pa
    packed = pack([b"abc", None, b"defgh"] * 1000)
    address = packed.data.ctypes.data
    array = pa.array(packed)
    assert array.buffers()[2].address == address and array.buffers()[1].address == packed.offsets.ctypes.data
    del packed
    gc.collect()
    junk = [bytearray(8000) for _ in range(100)]
    assert array.to_pylist() == [b"abc", None, b"defgh"] * 1000
    del junk
    assert pa.field(pack([])).type == pa.large_binary()


def test_arrow_lets_go_of_the_memory():
    import pyarrow as pa
    data = np.zeros(10, np.uint8)
    before = sys.getrefcount(data)
    packed = Packed(data, [0, 10])
    array = pa.array(packed)
    capsules = packed.__arrow_c_array__()
    del packed
    assert sys.getrefcount(data) > before
    del array, capsules
    gc.collect()
    assert sys.getrefcount(data) == before
