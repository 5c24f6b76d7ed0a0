"""What says another size of itself than it has is taken by the size that it has."""

import subprocess
import sys

import numpy
import pytest

import door43fast as d43
from door43fast.lmdb import LmdbStore
from door43fast.native.packed import PackedBuilder


class Long(bytes):
    def __len__(self):
        return 1 << 20


class Nothing(bytes):
    def __len__(self):
        return 0


@pytest.mark.parametrize("value", [Long(b"abc"), Nothing(b"abc"), memoryview(b"abc"), bytearray(b"abc")])
def test_a_value_has_the_bytes_that_it_holds(value):
    builder = PackedBuilder()
    builder.add("k", value)
    assert builder.build().tolist() == [b"abc"]


def test_an_array_of_larger_items_is_taken_whole():
    builder = PackedBuilder()
    builder.add("k", numpy.array([1, 2], "int32"))
    assert builder.build()[0] == numpy.array([1, 2], "int32").tobytes()


class Wide(numpy.ndarray):
    @property
    def shape(self):
        return (2, 1 << 20)


def test_out_has_the_rows_that_its_memory_has(tmp_path):
    with LmdbStore(tmp_path / "s", durability="none") as store:
        store.set_many({"a": b"x" * (1 << 20), "b": b"y" * (1 << 20)})
        rows = numpy.zeros((2, 4), numpy.uint8).view(Wide)
        with pytest.raises(d43.ConfigError, match="out="):
            store.get_packed(["a", "b"], out=rows)


def test_a_store_that_was_never_opened_says_so():
    """In a process of its own: each of these ended it."""
    code = """
import door43fast as d43
from door43fast.lmdb import LmdbStore
s = LmdbStore.__new__(LmdbStore)
calls = [lambda: s.get("k"), lambda: s["k"], lambda: s.set("k", b"v"), lambda: "k" in s, lambda: s.get_many(["k"]),
         lambda: s.contains_many(["k"]), lambda: s.set_many({"k": b"v"}), lambda: list(s.scan()), lambda: len(s),
         lambda: s.count("a"), lambda: s.stats(), lambda: s.delete("k"), lambda: s.pop("k"),
         lambda: s.transaction().__enter__(), lambda: s.get_packed(["k"]), lambda: list(s.scan_packed()),
         lambda: s.verify(), lambda: s.flush()]
for n, call in enumerate(calls):
    try:
        call()
    except d43.ClosedError as error:
        assert "never opened" in str(error) or "is closed" in str(error)
    else:
        raise AssertionError(n)
assert s.closed
s.close()
assert s.capabilities.persistent
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, (done.returncode, done.stderr)
