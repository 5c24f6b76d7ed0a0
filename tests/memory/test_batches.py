"""Batches of every form of keys give what single calls give, also where a key's own code changes store or keys."""

import array
import random
import sysconfig

import numpy as np
import pytest

import door43fast as d43

NUMBERS = [0, 1, -1, -2, 7, 2**61 - 1, 1 - 2**61, 2**61, 2**63 - 1, -2**63, 70, -70]


def mixed():
    """A store with keys of many types, some of them equal to integers without being exact int."""
    store = d43.MemoryStore()
    store.set_many({i * 7: f"n{i}" for i in range(-3000, 3000)})
    store.set_many({f"k{i}": i for i in range(3000)})
    for key in (True, 1e6, np.int64(5), 2**61 - 1, -2**63, "é", "日本", (1, 2), b"bytes"):
        store[key] = f"at {key!r}"
    return store


def agree(store, keys, plain):
    assert store.get_many(keys, "none") == [store.get(key, "none") for key in plain]
    assert store.contains_many(keys) == [key in store for key in plain]


@pytest.mark.parametrize("n", [0, 1, 63, 64, 65, 1000])
def test_arrays_of_integers_are_keys(n):
    draw = random.Random(n)
    plain = (NUMBERS + [10**6, 5] + [draw.randrange(-30_000, 30_000) for _ in range(n)])[:n]
    store, keys = mixed(), np.array(plain, dtype=np.int64)
    agree(store, keys, plain)
    agree(store, keys[::-2], plain[::-2])
    agree(store, array.array("q", plain), plain)
    agree(store, memoryview(keys), plain)
    agree(store, keys.astype(np.int32) if n and abs(keys).max() < 2**31 else keys, plain)
    store.set_many(zip(plain, plain, strict=True))
    agree(store, keys, plain)
    assert store.delete_many(keys) == len(set(plain))
    assert not any(store.contains_many(keys))


def test_integers_are_found_in_the_middle_of_a_growth():
    store = d43.MemoryStore()
    keys = np.arange(20_000, dtype=np.int64)
    for i in range(20_000):
        store[i] = i
        if i % 1237 == 0:
            assert store.get_many(keys[:i + 2]) == [*range(i + 1), None]


def test_arrays_of_text_and_other_forms_of_keys():
    store = mixed()
    plain = ["k1", "k2999", "k3000", "é", "日本"]
    agree(store, np.array(plain), plain)
    agree(store, np.array([b"bytes", b"none"]), [b"bytes", b"none"])
    agree(store, np.array([7.0, 1e6, 0.5]), [7.0, 1e6, 0.5])
    agree(store, np.array([(1, 2), "k1", None], dtype=object)[1:], ["k1", None])
    agree(store, np.array(["2026-11-24"], dtype="datetime64[ns]"), [np.datetime64("2026-11-24", "ns")])
    every = [*plain, 7, True, 1.0, (1, 2), b"bytes", None, 2.5]
    for keys in (every, tuple(every), iter(every), dict.fromkeys(every), (key for key in every)):
        if keys is every or type(keys) is tuple:
            agree(store, keys, every)
        else:
            assert store.get_many(keys, "none") == [store.get(key, "none") for key in (
                every if not isinstance(keys, dict) else list(dict.fromkeys(every)))]


def test_recency_and_counts_are_those_of_single_calls():
    draw = random.Random(1)
    one, other = d43.MemoryStore(max_entries=300), d43.MemoryStore(max_entries=300)
    for step in range(100):
        keys = [draw.randrange(500) for _ in range(150)]
        if step % 3 == 0:
            one.set_many((key, step) for key in keys)
            for key in keys:
                other[key] = step
        else:
            form = (list, tuple, np.array)[step % 3]
            assert one.get_many(form(keys)) == [other.get(key) for key in keys]
        assert one.stats() == other.stats()
    assert set(one) == set(other)


def test_a_key_that_changes_the_store_in_the_middle_of_a_batch():
    class Wild:
        def __init__(self, act):
            self.act = act

        def __hash__(self):
            self.act()
            return 5

    store = d43.MemoryStore()
    store.set_many({f"k{i}": object() for i in range(5000)})
    names = [f"k{i}" for i in range(40)]
    assert store.get_many([*names, Wild(store.clear), *names], 0)[40:] == [0] * 41

    store.set_many({name: name for name in names})
    keys = [*names, Wild(lambda: keys.__setitem__(slice(41, None), ["k7"] * 40)), *names]
    rest = names if sysconfig.get_config_var("Py_GIL_DISABLED") else ["k7"] * 40    # without a GIL it is read at once
    assert store.get_many(keys) == [*names, None, *rest]

    store.close()
    again = d43.MemoryStore()
    again.set_many({name: name for name in names})
    with pytest.raises(d43.ClosedError):
        again.get_many([*names, Wild(again.close), *names])


def test_a_stored_key_equal_to_an_integer_may_run_its_own_code():
    class Number:
        def __hash__(self):
            return hash(9)

        def __eq__(self, other):
            store.clear()
            return other == 9

    store = d43.MemoryStore()
    store.set_many({i: i for i in range(8)})
    store[Number()] = "nine"
    found = store.get_many(np.array([1, 9, 2], dtype=np.int64), "gone")
    assert found == [1, "gone", "gone"]


def test_wrong_keys_in_a_batch_are_refused_as_in_single_calls():
    store = d43.MemoryStore()
    store["k"] = 1
    for wrong, error in (("", ValueError), ("\ud800", ValueError), ([], TypeError)):
        with pytest.raises(error):
            store.get_many(["k", wrong])


TEXTS = ["a", "key 17", "a\0b", "é", "ü" * 40, "x" * 63, "x" * 64, "x" * 65, "y" * 300, "日本", "\U0001f600 smile",
         "not there", "key 18", "abcdefgh", "abcdefghi", "abcdefg"]


@pytest.mark.parametrize("step", [1, 2, -1, -3])
def test_arrays_of_texts_are_looked_up_as_their_elements(step):
    store = d43.MemoryStore()
    for n, text in enumerate(TEXTS):
        if text != "not there":
            store[text] = n
            store[text.encode()] = -n
    for texts in (TEXTS, TEXTS * 40, TEXTS[:3], [f"key {n}" for n in range(1000)]):
        wide = np.array(texts)[::step]
        narrow = np.array([text.encode() for text in texts])[::step]
        for array in (wide, narrow):
            wanted = array.tolist()
            assert store.get_many(array, "no") == [store.get(key, "no") for key in wanted]
            assert store.contains_many(array) == [key in store for key in wanted]
    assert wide.dtype.kind == "U" and narrow.dtype.kind == "S"


def test_an_array_of_texts_in_a_foreign_order_of_bytes():
    store = d43.MemoryStore()
    store.update(a=1, bcd=2)
    array = np.array(["bcd", "a", "e"], dtype=">U7")
    assert store.get_many(array) == [2, 1, None]


def test_an_array_with_an_empty_text_or_a_surrogate_is_refused_as_the_single_key_is():
    store = d43.MemoryStore()
    store["a"] = 1
    for wrong in ("", "\ud800", "ab\udfff"):
        array = np.array(["a", wrong, "a"])
        with pytest.raises(ValueError, match="key"):
            store.get_many(array)
    assert store.get_many(np.array([b"", b"a"])) == [None, None]


def test_texts_equal_to_keys_of_another_type_ask_that_type():
    class Name(str):
        def __eq__(self, other):
            asked.append(other)
            return str.__eq__(self, other)

        __hash__ = str.__hash__

    asked = []
    store = d43.MemoryStore()
    store[Name("abc")] = 5
    assert store.get_many(np.array(["abc", "x"])) == [5, None]
    assert asked == ["abc"]
