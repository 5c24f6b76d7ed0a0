"""What one layer refuses for a reason of the caller's is refused by all."""

import pytest

import door43fast as d43
from door43fast.layers import Parallel
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
        layers[0].fail("lost")
        with pytest.raises(TypeError):      # told by what the key holds, in the first layer as well
            store.incr("a")
