"""A store that only hands on is the store that it hands on to: the whole contract, over memory and LMDB."""

import pytest

import door43fast as d43
from door43fast.contracts import Capabilities
from door43fast.errors import ClosedError
from door43fast.layers import Wrapper
from door43fast.testing.conformance import StoreConformance


class TestWrappedMemory(StoreConformance):
    capabilities = Capabilities(traces=True, streams=True)

    def make_store(self, **options):
        return Wrapper(d43.MemoryStore(**options))


class TestWrappedLmdb(StoreConformance):
    capabilities = Capabilities(persistent=True, backup=True, shared=True, streams=True, traces=True)

    def make_store(self, **options):
        return Wrapper(d43.LmdbStore(self.folder / self.fresh_name(), **options))

    def open_backup(self, path):
        return d43.LmdbStore(path)


def test_it_closes_what_is_below_and_refuses_from_then_on():
    below = d43.MemoryStore()
    store = Wrapper(below)
    store["a"] = 1
    store.close()
    store.close()
    assert below.closed
    with pytest.raises(ClosedError):
        store.get("a")


@pytest.mark.parametrize("name", ["get_many", "contains_many", "delete_many", "get_packed"])
def test_one_key_for_a_batch_is_refused_as_below(tmp_path, name):
    with Wrapper(d43.LmdbStore(tmp_path / "store")) as store, pytest.raises(TypeError, match="not the one key 'ab'"):
        getattr(store, name)("ab")
