"""Keys of other types: each kind of namespace over each kind of store, in the order that a LmdbStore has."""

import pytest

import door43fast as d43
from door43fast import namespaces

BYTES = [b"\x00", b"\x00\x01", b"\x00\xff", b"a", b"a\x00", b"ab", b"\x7f", b"\x80", b"\xff", b"\xff\xff"]
ANY = [b"\x00", b"a\x00b", b"\xff", "a", "a\0", "я", "\U0010ffff", ("a",), ("a", -1), ("a", 1), ("a", "b"), ("b",),
       (b"x", (1, 2)), -2**70, -300, -1, 0, 1, 255, 256, 2**64, -1.5, 0.0, 1.5, float("inf")]


@pytest.mark.parametrize(("keys", "all_keys"), [("bytes", BYTES), ("any", ANY)])
def test_as_a_store_on_disk(base, tmp_path, keys, all_keys):
    mine, other = d43.namespace(base, "n", keys=keys), d43.namespace(base, "n2", keys=keys)
    with d43.LmdbStore(tmp_path / "model", keys=keys, durability="none") as model:
        for store in (mine, other, model):
            store.set_many([(key, i) for i, key in enumerate(all_keys)])
        assert list(mine) == list(model) and list(mine.items()) == list(model.items()) == list(mine.scan())
        assert mine.get_many(all_keys) == list(range(len(all_keys)))
        for key in all_keys:
            assert list(mine.scan(start=key)) == list(model.scan(start=key))
            assert list(mine.scan(stop=key, reverse=True)) == list(model.scan(stop=key, reverse=True))
            if isinstance(key, (bytes, str, tuple)):
                assert list(mine.keys(key)) == list(model.keys(key)) and mine.count(key) == model.count(key)
        mine.set_many([(key, b"%d" % i) for i, key in enumerate(all_keys)])
        model.set_many([(key, b"%d" % i) for i, key in enumerate(all_keys)])
        assert [bytes(key) for part, _ in mine.scan_packed() for key in part] == [
            bytes(key) for part, _ in model.scan_packed() for key in part]
        for store in (mine, model):
            del store[all_keys[3]]
            store.clear(all_keys[1])
        assert list(mine) == list(model) and list(other) and len(other) == len(all_keys)
        mine.clear()
        assert len(mine) == 0 and mine.verify()["errors"] == [] and len(other) == len(all_keys)


def test_everything_else_with_such_keys(base):
    space, seen = d43.namespace(base, "n", keys="any", max_entries=3), []
    space.subscribe("*", seen.append)
    with space.transaction() as t:
        t[("a", 1)] = 5
        assert t.incr(("a", 1)) == 6 and list(t.scan(("a",))) == [(("a", 1), 6)]
    assert space.incr(7) == 1 and space.get_or_compute(2.5, lambda: "x") == "x" and space.touch(7, 60)
    with pytest.raises(d43.ConflictError), space.transaction() as t:
        list(t.scan(("a",)))
        t[7] = 9
        space[("a", 1)] = 8
    with pytest.raises(d43.QuotaError):
        space[b"more"] = 1
    with pytest.raises(KeyError) as error:
        space[("b",)]
    assert error.value.args == (("b",),)
    space.clear(("a",))
    space.flush()
    assert [(event.op, event.key) for event in seen] == [
        ("set", ("a", 1)), ("set", 7), ("set", 2.5), ("set", ("a", 1)), ("clear", ("a",))]
    for wrong in (None, True, [1], object()):
        with pytest.raises(TypeError, match="key"):
            space[wrong] = 1


def test_a_write_ends_a_computation(base):
    space = d43.namespace(base, "n", keys="bytes")
    assert space.get_or_compute(b"k", lambda: (space.set(b"k", 1), space.delete(b"k"), "late")[-1]) == "late"
    assert b"k" not in space


def test_the_type_of_keys_is_fixed(lasting):
    with lasting() as base:
        d43.namespace(base, "n", keys="bytes")[b"k"] = 1
        with pytest.raises(d43.ConfigError, match="keys='bytes'"):
            d43.namespace(base, "n", keys="any")
    with lasting() as base:
        assert namespaces.listed(base)[0].keys == "bytes" and dict(d43.namespace(base, "n").items()) == {b"k": 1}
        with pytest.raises(TypeError):
            d43.namespace(base, "n")["k"]
        with pytest.raises(d43.ConfigError, match="'str' or 'bytes' or 'any'"):
            d43.namespace(base, "m", keys="int")
