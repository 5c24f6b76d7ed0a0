"""What one layer refuses for a reason of the caller's is refused by all; what it refuses a repair is not."""

import pytest

import door43fast as d43
from door43fast.layers import Parallel, Wrapper
from door43fast.testing.faults import Faulty


def test_one_layer_refuses_what_the_other_has_taken():
    """The refusal of one is that of all, and the error is the caller's."""
    with Parallel(d43.MemoryStore(), d43.MemoryStore(max_entries=2, policy="none"), repair="manual") as store:
        store["a"] = 1
        store["b"] = 2
        with pytest.raises(d43.BudgetError):
            store["c"] = 3
        with pytest.raises(d43.BudgetError):
            store.add("c", 3)
        with pytest.raises(d43.BudgetError):
            store.set_many({"a": 5, "c": 3})
        with pytest.raises(d43.BudgetError), store.transaction() as t:
            t["a"], t["c"] = 7, 8
        assert [dict(layer.items()) for layer in store.layers] == [{"a": 1, "b": 2}] * 2
        assert store.stats()["owed"] == 0 and store.layers[1].state == "closed"


def test_what_one_layer_refuses_and_another_may_have_is_not_said_to_be_nowhere():
    """Else the write could be read after all, when the debt of the first layer was lost with the process."""
    layers = [Faulty(d43.MemoryStore()), d43.MemoryStore(max_entries=1, policy="none")]
    with Parallel(*layers, repair="manual") as store:
        store["a"] = 1
        for write in (lambda: store.set("c", 3), lambda: store.add("c", 3), lambda: store.incr("c"),
                      lambda: store.set_many({"c": 3})):
            layers[0].fail("lost")
            with pytest.raises(d43.PartialWriteError, match=r"no layer for certain and not by layers\[") as caught:
                write()
            assert set(caught.value.failed) == {"layers[0]", "layers[1]"}
            assert isinstance(caught.value.__cause__, d43.BudgetError)
            assert "c" in layers[0] and "c" not in store
            store.repair()
            assert "c" not in layers[0] and dict(store.items()) == {"a": 1}
        store["a"] = "text"
        layers[0].fail("error")
        with pytest.raises(d43.PartialWriteError) as caught:
            store.incr("a")
        assert isinstance(caught.value.__cause__, TypeError) and store["a"] == "text"


class Full(Wrapper):
    """It has to write something before it can tell its keys, and has no room for it while it is ``full``."""

    full = False

    def keys(self, *args, **options):
        if self.full:
            raise d43.BudgetError("1 writes wait to be flushed")
        return super().keys(*args, **options)


def test_a_layer_that_cannot_be_copied_from_just_now_is_no_error_of_a_repair():
    source, other = Full(d43.MemoryStore()), Faulty(d43.MemoryStore())
    with Parallel(source, other, require="any", repair="manual", max_owed=0) as store:
        other.fail("error")
        store["a"] = 1
        assert store.stats()["layers"][1]["lapsed"]
        source.full = True
        store.repair()
        assert store.stats()["layers"][1]["lapsed"] and store["a"] == 1
        source.full = False
        assert store.repair() == {"layers[0]": 0, "layers[1]": 0}
        assert dict(other.items()) == {"a": 1} and not store.stats()["layers"][1]["lapsed"]
