"""Layers that hold the same, of which one was not there when the plan was opened: nobody reads what it has missed."""

import pickle

import pytest
from failing_layer import wait_for
from test_absent import LATER, WAIT, answers, back, fill, redis, server     # noqa: F401

import door43fast as d43
from door43fast.layers import PrimaryFallback, ReadThrough


def beside(server, path, strategy="primary_fallback", guard=WAIT, first=True, **options):     # noqa: F811
    layers = [redis(server, guard), {"type": "sqlite", "path": str(path)}]
    return {"strategy": strategy, "layers": layers if first else layers[::-1], **options}


def held(server):      # noqa: F811
    with d43.open(server.url) as store:
        return dict(store.items())


def kept(path, items):
    with d43.open(f"sqlite:///{path}") as store:
        store.clear()
        store.set_many(items)


BOTH = pytest.mark.parametrize("options", [
    {"strategy": "primary_fallback"}, {"strategy": "parallel", "require": "any"},
    {"strategy": "parallel", "require": "any", "first": False}, {"strategy": "primary_fallback", "first": False}],
    ids=repr)


@BOTH
def test_who_is_there_goes_on_and_the_other_is_copied_anew(server, tmp_path, options):     # noqa: F811
    """Without ``owed=`` nobody knows what it has missed: a key that is nowhere else was deleted meanwhile."""
    fill(server, {"same": 1, "older": 1, "deleted": 1})
    kept(tmp_path / "s", {"same": 1, "older": 2})
    with d43.open(beside(server, tmp_path / "s", **options)) as store:
        place = [one.name for one in store.layers].index("redis")
        assert dict(store.items()) == {"same": 1, "older": 2} and "deleted" not in store
        store["new"] = 3
        assert store.incr("same") == 2 and store.delete("older") and store.get_many(["new", "older"]) == [3, None]
        told = store.stats()
        assert told["layers"][place]["state"] == "absent" and told["entries"] == 2
        server.start()
        back(store, place)
        assert dict(store.items()) == {"same": 2, "new": 3} == dict(store.layers[place].items())
        store["after"] = 4
        assert store.layers[place]["after"] == 4
    assert held(server) == {"same": 2, "new": 3, "after": 4}


@BOTH
def test_with_debts_on_disk_it_is_given_what_it_has_missed_and_no_more(server, tmp_path, options):     # noqa: F811
    plan = beside(server, tmp_path / "s", owed=str(tmp_path / "owed"), **options)
    server.start()
    with d43.open(plan) as store:
        place = [one.name for one in store.layers].index("redis")
        store.set_many({f"k{i}": i for i in range(20)})
        server.kill()
        assert store.delete("k0")
        store["k1"] = "newer"
    with d43.open(plan) as store:       # still away
        assert "k0" not in store and store["k1"] == "newer" and store["k2"] == 2
        assert store.delete("k2") and store.stats()["layers"][place]["owed"] >= 2
        again = pickle.dumps(store)
    with pickle.loads(again) as store:
        server.start()
        with d43.open(server.url) as other:
            other["of others"] = 1      # who copies it anew takes this out
            back(store, place)
            assert "of others" in other
        wanted = {f"k{i}": i for i in range(3, 20)} | {"k1": "newer"}
        assert dict(store.items()) == dict(store.layers[1 - place].items()) | (
            {"of others": 1} if place == 0 else {}) and dict(store.layers[1 - place].items()) == wanted
        assert held(server) == wanted | {"of others": 1}


def test_debts_of_who_is_there_are_not_forgotten(server, tmp_path):     # noqa: F811
    """What the one that is there has missed, the other alone knows: until it comes, nobody answers that."""
    path = tmp_path / "disk" / "s"
    plan = {"strategy": "parallel", "require": "any", "owed": str(tmp_path / "owed"), "layers": [
        redis(server), {"type": "sqlite", "path": str(path), "guard": {**WAIT, "failures": 1}}]}
    server.start()
    with d43.open(plan) as store:
        store.set_many({"k": "old", "same": 1})
    (tmp_path / "disk").rename(tmp_path / "away")
    (tmp_path / "disk").write_text("in the way")
    with d43.open(plan) as store:       # the second one is away
        store["k"] = "new"
    server.kill()
    (tmp_path / "disk").unlink()
    (tmp_path / "away").rename(tmp_path / "disk")
    with d43.open(plan) as store:       # now the first one is
        assert store["same"] == 1
        for call in (lambda: store["k"], lambda: store.get_many(["same", "k"]), lambda: store.incr("k"),
                     lambda: list(store.scan())):
            with pytest.raises(d43.BackendUnavailableError):
                call()
        server.start()
        back(store, 0), back(store, 1)
        assert dict(store.items()) == {"k": "new", "same": 1} == dict(store.layers[1].items())


@pytest.mark.parametrize("options", [{"strategy": "primary_fallback"}, {"strategy": "parallel", "require": "any"},
                                     {"strategy": "parallel", "owed": "owed"}], ids=repr)
def test_where_all_that_are_there_are_empty_nobody_knows_what_holds(server, tmp_path, options):     # noqa: F811
    """A worker with a fresh disk that is started while its Redis restarts: nothing of that is cleared or denied."""
    fill(server, {"k": 1, "l": 2})
    if "owed" in options:
        options = {**options, "owed": str(tmp_path / "owed")}
    with d43.open(beside(server, tmp_path / "s", **options)) as store:
        for call in (lambda: store.get("k"), lambda: store.set("m", 1), lambda: store.delete("k"), lambda: len(store),
                     lambda: store.clear(), lambda: store.add("k", 1)):
            with pytest.raises(d43.BackendUnavailableError):
                call()
        server.start()
        back(store, 0), back(store, 1)
        assert dict(store.items()) == {"k": 1, "l": 2} == dict(store.layers[1].items())
    assert held(server) == {"k": 1, "l": 2}


def test_one_that_comes_back_empty_is_filled(server, tmp_path):     # noqa: F811
    plan = beside(server, tmp_path / "s", "parallel", require="any", owed=str(tmp_path / "owed"))
    kept(tmp_path / "s", {"k": 1})
    with d43.open(plan) as store:
        server.start()
        back(store, 0)
        assert store["k"] == 1
    assert held(server) == {"k": 1}


def test_it_is_written_as_soon_as_it_is_there(server, tmp_path):     # noqa: F811
    kept(tmp_path / "s", {"k": 1})
    with d43.open(beside(server, tmp_path / "s", "parallel")) as store:
        with pytest.raises(d43.BackendUnavailableError, match="needs 2 layers and 1 are up"):
            store["k"] = 2
        assert store["k"] == 1
        server.start()
        back(store, 0)
        store["k"] = 2
    assert held(server) == {"k": 2}


def test_by_hand(server, tmp_path):     # noqa: F811
    kept(tmp_path / "s", {"k": 1})
    with d43.open(beside(server, tmp_path / "s", guard={**WAIT, "reset": 0}, repair="manual")) as store:
        assert store.repair() == {"primary": None, "fallback": 0}
        server.start()
        assert store.repair() == {"primary": 0, "fallback": 0} and store.stats()["layers"][0]["state"] == "closed"


def test_the_end_before_it_was_there(server, tmp_path):     # noqa: F811
    kept(tmp_path / "s", {"k": 1})
    plan = beside(server, tmp_path / "s", guard=LATER)
    plan["layers"].reverse()
    plan["layers"][1] = {"type": "filesystem", "path": str(tmp_path / "no" / "f"), "guard": LATER}
    (tmp_path / "no").write_text("in the way")
    d43.open(plan).close()      # it has missed nothing of ours
    store = d43.open(plan)
    store["k"] = 2
    with pytest.raises(d43.PartialWriteError, match="it has not been there"):
        store.close()


@pytest.mark.parametrize("writes", [True, False])
def test_a_fallback_that_holds_a_part(server, tmp_path, writes):     # noqa: F811
    """While the primary is away it answers with what it has, and denies nothing."""
    fill(server, {"k": "primary", "l": 1})
    kept(tmp_path / "s", {"k": "part"})
    plan = beside(server, tmp_path / "s", mirror=False)
    plan["layers"][1]["readonly"] = not writes
    with d43.open(plan) as store:
        assert isinstance(store, PrimaryFallback) and store["k"] == "part"
        with pytest.raises(d43.BackendUnavailableError):
            store.get("l")
        if writes:
            store["m"] = 2
            assert store["m"] == 2
        server.start()
        wait_for(lambda: answers(store, "l"))
        back(store, 0)
        assert store["k"] == "primary" and store["l"] == 1 and store.get("m") == (2 if writes else None)


def test_a_part_that_was_away_is_emptied(server, tmp_path):     # noqa: F811
    """It may hold what was changed while nobody could tell it."""
    fill(server, {"k": "old", "gone": 1})
    kept(tmp_path / "s", {"k": "new"})
    with d43.open(beside(server, tmp_path / "s", first=False, mirror=False, guard=WAIT)) as store:
        assert store["k"] == "new" and "gone" not in store
        server.start()
        back(store, 1)
    assert held(server) == {}


# -- a fast layer that is not in memory ----------------------------------------------------------------------


def test_a_fast_layer_that_was_away_is_emptied(server, tmp_path):     # noqa: F811
    fill(server, {"k": "old", "gone": 1})
    kept(tmp_path / "s", {"k": "new"})
    with d43.open({"strategy": "cascade", "layers": [redis(server), {"type": "sqlite", "path": str(tmp_path / "s")}]}
                  ) as store:
        assert isinstance(store, ReadThrough) and store["k"] == "new" and "gone" not in store
        store["l"] = 1
        assert store.stats()["layers"][0]["state"] == "absent"
        server.start()
        back(store, 0)
        assert store.get_many(["k", "l", "gone"]) == ["new", 1, None] and held(server) == {"k": "new", "l": 1}


def test_a_slow_layer_that_is_away(server, tmp_path):     # noqa: F811
    """The fast one answers with what it has; when the slow one is there, nobody knows what others have written."""
    fill(server, {"k": 1, "l": 1})
    plan = {"strategy": "cascade", "layers": [{"type": "sqlite", "path": str(tmp_path / "s")}, redis(server)]}
    server.start()
    with d43.open(plan) as store:
        wait_for(lambda: store["k"] == 1 and "k" in store.fast)
    server.kill()
    with d43.open(plan) as store:
        assert store["k"] == 1
        for call in (lambda: store["l"], lambda: store.set("k", 2), lambda: "no" in store):
            with pytest.raises(d43.BackendUnavailableError):
                call()
        server.start()
        with d43.open(server.url) as other:
            other["k"] = 3
        wait_for(lambda: answers(store, "l"))
        wait_for(lambda: store["k"] == 3)


# -- one in another ------------------------------------------------------------------------------------------


def test_nested(server, tmp_path):     # noqa: F811
    """Memory over a mirror of a cascade whose slow layer is away: that one is away as a whole."""
    fill(server, {"k": "old", "gone": 1})
    kept(tmp_path / "s", {"k": "new"})
    plan = {"strategy": "cascade", "layers": [{"type": "memory"}, {"strategy": "primary_fallback", "layers": [
        {"strategy": "cascade", "layers": [{"type": "memory"}, redis(server)]},
        {"type": "sqlite", "path": str(tmp_path / "s")}]}]}
    with d43.open(plan) as store:
        several = store.slow
        assert several._layers[0].ledger.unseen and store["k"] == "new" and "gone" not in store
        store["l"] = 1
        assert store["l"] == 1 and several.stats()["layers"][0]["state"] == "absent"
        server.start()
        wait_for(lambda: several._layers[0].ledger.clean)
        assert store.get_many(["k", "l", "gone"]) == ["new", 1, None]
    assert held(server) == {"k": "new", "l": 1}


def test_one_of_two_that_are_one_layer(server, tmp_path):     # noqa: F811
    """A layer that is several stores itself is there if one of these is."""
    fill(server, {"k": "old"})
    kept(tmp_path / "s", {"k": "new"}), kept(tmp_path / "t", {"k": "new"})
    plan = {"strategy": "primary_fallback", "layers": [
        beside(server, tmp_path / "s", "parallel", require="any"), {"type": "sqlite", "path": str(tmp_path / "t")}]}
    with d43.open(plan) as store:
        assert not store._layers[0].ledger.unseen and store["k"] == "new"
        store["k"] = "newest"
        server.start()
        wait_for(lambda: store.layers[0].slow._layers[0].ledger.clean)
    assert held(server) == {"k": "newest"}


def test_write_back_over_it(server):     # noqa: F811
    plan = {"strategy": "cascade", "write": "back", "delay": "1ms", "layers": [{"type": "memory"}, redis(server)]}
    with d43.open(plan) as store:
        with pytest.raises(d43.BackendUnavailableError):
            store["k"] = 1      # the first key of all is asked for below
        server.start()
        wait_for(lambda: answers(store, "k"))
        store["k"] = 1
        store.flush()
    assert held(server) == {"k": 1}
