"""Which tags an entry carries, as far as a store can tell: whoever copies an entry must not take them for none."""

from doubled import two

import door43fast as d43
from door43fast.layers import Guard, WriteBuffer
from door43fast.layers.tagged import tags_of


def test_tags_are_told_by_who_knows_them_alone(tmp_path):
    """Of what is not flushed yet the store under a buffer knows nothing, and a layer may owe what its store lacks."""
    with d43.open(f"sqlite:////{tmp_path}/plain.db") as plain:
        plain.set("a", 1, tags=("x",))
        assert tags_of(plain, "a") == tags_of(Guard(plain), "a") == ("x",)
    with WriteBuffer(d43.open(f"sqlite:////{tmp_path}/below.db"), delay=60) as buffer:
        buffer.set("a", 1, tags=("x",))
        assert buffer.dirty() and tags_of(buffer, "a") is None
    store, layers, _ = two()
    with store:
        layers[0].down()
        store.set("a", 1, tags=("x",))
        assert tags_of(store, "a") is None
