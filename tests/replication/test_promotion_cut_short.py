"""A promotion that is refused, or fails on its way, leaves a set that goes on, and that can be opened again."""

import pytest

import door43fast as d43
from door43fast.errors import BackendUnavailableError, FencedError, ReplicationError
from door43fast.testing import Faulty
from door43fast.testing.trials.building import Kept


@pytest.fixture(params=["memory", "lmdb"])
def members(request, tmp_path):
    """Three stores that stay open."""
    stores = [d43.LmdbStore(tmp_path / str(i), durability="none") if request.param == "lmdb" else d43.MemoryStore()
              for i in range(3)]
    yield stores
    for store in stores:
        store.close()


def opened(members, consistency, first=0):
    faulty = [Faulty(Kept(one)) for one in members]
    rest = [one for one in faulty if one is not faulty[first]]
    return d43.replicated(faulty[first], rest, consistency, timeout=2), faulty


def goes_on(store, members, consistency, write=True):
    """It does, and can be opened anew."""
    if write:
        store["b"] = 2
    store.close()
    store, _ = opened(members, consistency)
    with store:
        store["c"] = 3
        store.wait_for(timeout=10)
        assert (store["a"], store.get("b"), store["c"]) == (1, 2 if write else None, 3)
        assert all(one["c"] == 3 for one in members)


@pytest.mark.parametrize("write", [True, False])
def test_one_that_is_refused_for_want_of_the_primary(members, write):
    store, (primary, *_) = opened(members, "eventual")
    store["a"] = 1
    store.wait_for(timeout=10)
    primary.down()
    with pytest.raises(ReplicationError, match="were not reached"):
        store.promote("replica 1")
    assert store.term == 0
    primary.up()
    goes_on(store, members, "eventual", write)


@pytest.mark.parametrize("kind", ["error", "lost"])
@pytest.mark.parametrize("write", [True, False])
def test_one_that_could_not_fence_another_replica(members, kind, write):
    store, (primary, _, other) = opened(members, "quorum")
    store["a"] = 1
    store.wait_for(timeout=10)
    primary.down()
    other.fail(kind, "_commit")
    with pytest.raises(ReplicationError, match="were not reached"):
        store.promote("replica 1")
    primary.up()
    goes_on(store, members, "quorum", write)


@pytest.mark.parametrize("kind", ["error", "lost"])
@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("write", [True, False])
def test_one_that_could_not_fence_the_primary(members, kind, times, write):
    store, (primary, *_) = opened(members, "eventual")
    store["a"] = 1
    store.wait_for(timeout=10)
    primary.fail(kind, "_commit", times=times)
    with pytest.raises(ReplicationError, match="were not reached"):
        store.promote("replica 1")
    goes_on(store, members, "eventual", write)


def test_one_whose_end_is_not_known_fences_the_store(members):
    store, (_, chosen, _) = opened(members, "eventual")
    store["a"] = 1
    store.wait_for(timeout=10)
    chosen.fail("lost", "_commit")
    with pytest.raises(BackendUnavailableError):
        store.promote("replica 1")
    with pytest.raises(FencedError):
        store["b"] = 2
    assert store["a"] == 1
    store.close()
    with pytest.raises(FencedError):
        opened(members, "eventual")
    store, _ = opened(members, "eventual", 1)
    with store:
        assert store["a"] == 1
        store["b"] = 2


@pytest.mark.parametrize("write", [True, False])
def test_a_clear_that_fails_leaves_the_primary_its_head(members, write):
    store, (_, chosen, _) = opened(members, "strong")
    store.promote("replica 1")
    chosen.fail("lost", "clear")
    with pytest.raises(BackendUnavailableError):
        store.clear()
    store.wait_for(timeout=10)
    if write:
        store["a"] = 1
    store.close()
    store, _ = opened(members, "strong", 1)
    with store:
        assert store.term == 1 and dict(store.scan()) == ({"a": 1} if write else {})
