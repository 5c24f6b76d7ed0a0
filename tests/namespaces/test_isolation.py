"""Nothing of one namespace can be read, listed, counted, changed or heard of from another, whatever it is called."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import door43fast as d43
from door43fast import namespaces
from door43fast.namespaces.regions import BOOKS, ORDER, ROWS, TAGS, Regions

# Names and keys that play games with separators, prefixes and the signs that we use ourselves.
NAMES = ["a", "ab", "a/b", "a\\b", "a.", "a b", "=", "@", "#", "<", "a\U0010ffff", "я", "a=b", "%00", "..", " "]
KEYS = ["k", "\0", "\0=a\0k", "\0@a", "a", "a/b", "/", "b\0k", "\U0010ffff", "=k", "\0\0", "<k", "#t"]


def test_each_sees_its_own_and_nothing_else(base):
    spaces = {name: d43.namespace(base, name) for name in NAMES}
    for name, space in spaces.items():
        space.set_many({key: f"{name}:{key}" for key in KEYS})
    for name, space in spaces.items():
        assert dict(space.items()) == {key: f"{name}:{key}" for key in KEYS}
        assert list(space) == sorted(KEYS) and len(space) == space.count() == len(KEYS)
        assert [key for key, _ in space.scan("\0")] == sorted(key for key in KEYS if key.startswith("\0"))
        for other in NAMES:
            for key in {f"{ROWS}{other}\0k", f"{BOOKS}{other}", f"{other}\0k", f"\0{other}"}.difference(KEYS):
                assert space.get(key) is None and key not in space


def test_no_write_reaches_another(base):
    mine, other = d43.namespace(base, "a"), d43.namespace(base, "ab")
    other.set_many({key: 1 for key in KEYS})
    mine.set_many({key: 2 for key in [*KEYS, "b\0k"]})
    for write in (lambda: mine.delete_many([*KEYS, "b\0k"]), lambda: mine.clear("b"), lambda: mine.clear(),
                  lambda: mine.pop("b\0k", None), lambda: mine.touch("k", 0), lambda: mine.expire()):
        write()
        assert dict(other.items()) == dict.fromkeys(KEYS, 1)
    assert namespaces.drop(base, "a") == 0 and dict(other.items()) == dict.fromkeys(KEYS, 1)


def test_tags_are_of_one_namespace(base):
    mine, other = d43.namespace(base, "a"), d43.namespace(base, "a2")
    for space in (mine, other):
        space.set("k", 1, tags=("t", "2\0t"))
    if base.capabilities.tags and not isinstance(next(iter(base)), bytes):
        base.set("k", 1, tags=("t",))
    mine.invalidate("t")
    mine.invalidate("2\0t")
    assert "k" not in mine and other["k"] == 1


def test_events_are_of_one_namespace(base):
    mine, other = d43.namespace(base, "a"), d43.namespace(base, "b")
    heard = []
    other.subscribe("*", heard.append)
    mine["k"] = 1
    mine.clear()
    other["own"] = 1
    for space in (mine, other):
        space.flush()
    assert [(event.op, event.key) for event in heard] == [("set", "own")]


def test_transactions_are_of_one_namespace(base):
    mine, other = d43.namespace(base, "a"), d43.namespace(base, "b")
    other["n"] = 1
    with mine.transaction() as t:
        assert "n" not in t and list(t.scan()) == []
        t["n"] = 5
        other["n"] = 2      # no conflict: it is another's
    assert mine["n"] == 5 and other["n"] == 2


def test_computations_are_of_one_namespace(base):
    mine, other = d43.namespace(base, "a"), d43.namespace(base, "b")
    assert mine.get_or_compute("k", lambda: other.get_or_compute("k", lambda: 1) + 1) == 2
    assert mine["k"] == 2 and other["k"] == 1


names = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=8)
keys = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=8)


@given(st.lists(st.tuples(names, keys), min_size=2, max_size=30))
@settings(deadline=None)
def test_places_are_unlike_and_in_order(pairs):
    """No two pairs of name and key share a place, and within a name places are in the order of the keys."""
    base = d43.MemoryStore()
    regions = {name: Regions(base, name) for name, _ in pairs}
    places = {}
    for name, key in pairs:
        for place in (regions[name].row(key), regions[name].tag(key), regions[name].book, regions[name].turn(7)):
            assert places.setdefault(place, place[:2] + name) == place[:2] + name
        assert regions[name].key(regions[name].row(key)) == key
    for name in regions:
        own = sorted({key for one, key in pairs if one == name})
        assert sorted(map(regions[name].row, own)) == list(map(regions[name].row, own))
        for other in set(regions) - {name}:
            for prefix in (regions[name].rows, regions[name].order, regions[name].tags):
                assert not any(place.startswith(prefix) for place in map(regions[other].row, ["k", name, "\0"]))


@given(st.lists(st.tuples(names, keys, st.integers()), max_size=20))
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_as_many_dicts(writes):
    base, model = d43.MemoryStore(), {}
    for name, key, value in writes:
        d43.namespace(base, name)[key] = value
        model.setdefault(name, {})[key] = value
    assert {one.name: dict(d43.namespace(base, one.name).items()) for one in namespaces.listed(base)} == model


@pytest.mark.parametrize("name", ["", "\0", "a\0", "a\nb", "\x7f", "x" * 129, "\ud800"])
def test_names_that_could_break_out_are_refused(name):
    with pytest.raises(d43.ConfigError, match="name"):
        d43.namespace(d43.MemoryStore(), name)


def test_a_name_is_text():
    for name in (b"a", 1, None):
        with pytest.raises(TypeError):
            d43.namespace(d43.MemoryStore(), name)


def test_the_signs_are_unlike():
    assert len({BOOKS, ROWS, ORDER, TAGS}) == 4 and all(len(sign) == 2 for sign in (BOOKS, ROWS, ORDER, TAGS))
