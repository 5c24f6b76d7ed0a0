"""A backend of another package says how what it wrote survives a power loss, and is asked for that when a caller is."""

import door43fast as d43
from door43fast.plugins import Backend


class Held(Backend):
    def __init__(self, **wanted):
        super().__init__(**wanted)
        self.held, self.synced = {}, []

    def read(self, names):
        return [self.held.get(name) for name in names]

    def write(self, changes):
        self.held.update(changes)

    def names(self, prefix):
        return [name for name, data in self.held.items() if data is not None and name.startswith(prefix)]

    def sync(self):
        self.synced.append(len(self.held))


class Unsynced(Held):
    sync = Backend.sync


def test_it_is_asked_when_a_caller_wants_it():
    with Held() as store:
        store["a"] = 1
        store.set_many({"b": 2, "c": 3})
        assert store.synced == []
        store.set("d", 4, durable=True)
        store.delete("a")
        assert store.synced == [4]
        store.flush()
        assert store.synced == [4, 4] and store.get_many("abcd") == [None, 2, 3, 4]
        with d43.cascade(d43.MemoryStore(), store) as tier:
            tier.set("e", 5, durable=True)
            assert store.synced == [4, 4, 5]


def test_one_that_knows_no_way_goes_on():
    with Unsynced() as store:
        store.set("a", 1, durable=True)
        store.flush()
        assert store["a"] == 1 and store.synced == []
