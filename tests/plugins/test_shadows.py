"""A backend of another package that takes a name of the base class for itself is told, not left to hang."""

import threading
from typing import Annotated

import pytest
from msgspec import Meta

from door43fast.config import Location
from door43fast.plugins import Backend, BackendOptions, Registry


class PlaceOptions(BackendOptions, kw_only=True):
    path: Annotated[Location, Meta(description="Nowhere.")]


class Dict(Backend):
    """Bytes in a dict, under a lock: what a first backend looks like."""

    Options = PlaceOptions
    own = "_mine"

    def __init__(self, options=None, /, **wanted):
        super().__init__(options, **wanted)
        self.ended = False
        self.data = {}
        setattr(self, self.own, threading.Lock())

    def read(self, names):
        with getattr(self, self.own):
            return [self.data.get(name) for name in names]

    def write(self, changes):
        self.data.update(changes)

    def names(self, prefix):
        return [name for name, data in self.data.items() if data is not None and name.startswith(prefix)]

    def shut(self):
        self.ended = True


def opened(kind):
    registry = Registry(discover=False)
    registry.register("mine", kind)
    return registry.open("mine", {"path": "x"})


def test_names_that_the_base_has_not_are_free():
    with opened(Dict) as store:
        store["a"] = 1
        assert store["a"] == 1


@pytest.mark.parametrize("name", ["_lock", "_held", "_apply", "_queue", "items", "count", "scan"])
def test_an_attribute_over_the_base_is_refused_when_the_store_is_opened(name):
    """With self._lock the first call waited for itself."""
    made = []

    class Mine(Dict):
        own = name

        def __init__(self, options=None, /, **wanted):
            super().__init__(options, **wanted)
            made.append(self)

    with pytest.raises(TypeError, match=rf"Mine sets self\.{name}, a name that its base class uses"):
        opened(Mine)
    assert made[0].ended


@pytest.mark.parametrize("name", ["_apply", "_held", "_walk", "_fetch"])
def test_a_method_over_the_base_is_refused_when_the_class_is_made(name):
    with pytest.raises(TypeError, match=f"Mine defines {name}, a name that its base class uses"):
        type("Mine", (Dict,), {name: lambda self: None})


def test_what_a_backend_may_define_stays_free():
    names = ["_writing", "_epoch", "_tells", "_watched", "_with_deadlines", "_reread"]
    assert type("Mine", (Dict,), {name: lambda self: None for name in names}).__name__ == "Mine"
