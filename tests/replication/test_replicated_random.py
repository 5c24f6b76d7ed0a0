"""Random writes through random faults of every member, from a seed, with promotions between."""

import os
import random

import pytest

import door43fast as d43
from door43fast.testing.faults import Faulty
from replication_sets import held, members

SEEDS = min(int(os.environ.get("DOOR43FAST_SEEDS", "5")), 300)
KEYS = [f"k{i}" for i in range(8)]


def step(store, luck, outcomes):
    """One random write. ``outcomes`` holds for each key what it may hold now; None for nothing."""
    kind = luck.choice(["set", "set", "delete", "set_many", "transaction", "clear"])
    keys = luck.sample(KEYS, 1 if kind in ("set", "delete") else 3)
    value = luck.randrange(10**9)
    after = dict.fromkeys(KEYS if kind == "clear" else keys, None if kind in ("delete", "clear") else value)

    def transaction():
        with store.transaction() as t:
            t.set_many(dict.fromkeys(keys, value))
    calls = {"set": lambda: store.set(keys[0], value), "delete": lambda: store.delete(keys[0]),
             "set_many": lambda: store.set_many(dict.fromkeys(keys, value)), "transaction": transaction,
             "clear": lambda: store.clear()}
    try:
        calls[kind]()
    except d43.Error as error:
        if isinstance(error, d43.ReplicationError) and not error.done and not error.unknown and not error.failed:
            return
        for key, one in after.items():
            outcomes[key].add(one)      # it may have taken effect or not
    else:
        for key, one in after.items():
            outcomes[key] = {one}


@pytest.mark.parametrize("kind", ["memory", "lmdb"])
@pytest.mark.parametrize("consistency", ["strong", "quorum", "eventual"])
@pytest.mark.parametrize("seed", range(SEEDS))
def test_what_was_acknowledged_is_there_and_all_are_equal(tmp_path, kind, consistency, seed):
    luck = random.Random(f"{seed}/{kind}/{consistency}")
    below = members(kind, tmp_path)
    stores = [Faulty(one, seed=seed * 3 + i, errors=0.03, lost=0.03, latency=0.05, delay=(0, 0.002))
              for i, one in enumerate(below)]
    shares = [dict(one.shares) for one in stores]
    for one in stores:
        one.calm()
    store = d43.replicated(stores[0], stores[1:], consistency, timeout=1, close_timeout=20, read="any")
    store["first"] = 1
    store.wait_for(timeout=20)
    outcomes = {key: {None} for key in KEYS}
    for _ in range(3):
        for one, share in zip(stores, shares, strict=True):
            one.shares.update(share)
        for _ in range(40):
            step(store, luck, outcomes)
        for one in stores:
            one.calm()
        store.wait_for(timeout=30)
        store["first"] = luck.random()
        store.wait_for(timeout=30)
        state = held(store.primary)
        for key, allowed in outcomes.items():
            assert state.get(key) in allowed, f"{key} is {state.get(key)}, and may be one of {allowed}"
            outcomes[key] = {state.get(key)}
        assert held(below[0]) == held(below[1]) == held(below[2])
        store.promote(luck.choice(store.replicas))
        store.wait_for(timeout=30)
        assert held(below[0]) == held(below[1]) == held(below[2])
    store.close()
