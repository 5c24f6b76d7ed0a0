"""Stores that can do little conform too: what they lack is taken out of the suite, and asked for in vain instead."""

from pathlib import Path

import pytest

import door43fast.testing
from door43fast.contracts import Capabilities
from door43fast.plugins import Backend
from door43fast.testing.basis import Basis, needs
from door43fast.testing.calls import REFUSALS
from door43fast.testing.conformance import BudgetConformance, StoreConformance

NOTHING = Capabilities(*[False] * len(Capabilities._fields))


class DictStore(Backend):
    """A dict that is a backend, and can do what it is told that it can."""

    def __init__(self, options=None, /, can=Backend.capabilities, held=None, **wanted):
        super().__init__(options, **wanted)
        self.capabilities = can
        self._dict = {} if held is None else held

    def read(self, names):
        return [self._dict.get(name) for name in names]

    def write(self, changes):
        for name, data in changes.items():
            if data is None:
                self._dict.pop(name, None)
            else:
                self._dict[name] = data

    def names(self, prefix):
        return [name for name in self._dict if name.startswith(prefix)]


class TestWritesAlone(StoreConformance):
    capabilities = NOTHING._replace(writes=True)

    def make_store(self, **options):
        return DictStore(can=self.capabilities, **options)


class TestWritesAndLists(TestWritesAlone):
    capabilities = NOTHING._replace(writes=True, listing=True, ordered=True, packed=True)


class TestReadsAlone(StoreConformance):
    capabilities = NOTHING

    def make_filled(self, items):
        before = DictStore()
        before.set_many(items)
        return DictStore(can=self.capabilities, held=before._dict)


class TestReadsAndLists(TestReadsAlone):
    capabilities = NOTHING._replace(listing=True, ordered=True, packed=True, streams=True, traces=True)


ALL = Backend.capabilities


class TestWithoutTtl(TestWritesAlone):
    capabilities = ALL._replace(ttl=False)


class TestWithoutTags(TestWritesAlone):
    capabilities = ALL._replace(tags=False)


class TestWithoutOrder(TestWritesAlone):
    capabilities = ALL._replace(ordered=False)


class TestWithoutTransactions(TestWritesAlone):
    capabilities = ALL._replace(transactions=False)


class TestWithoutBatchesOrEvents(TestWritesAlone):
    capabilities = ALL._replace(packed=False, events=False, pins=False)


class TestWithoutComputationsOrFiles(TestWritesAlone):
    capabilities = ALL._replace(compute=False, streams=False, traces=False)


class TestWithoutListing(TestWritesAlone):
    capabilities = ALL._replace(listing=False, ordered=False)


def named_tests(kind):
    return {name for name in dir(kind) if name.startswith("test") and getattr(kind, name) is not None}


FULL = Capabilities(*[True] * len(Capabilities._fields))
ASKED = [name for name in Capabilities._fields if name not in ("persistent", "shared")]


def having(capabilities):
    return type("Having", (StoreConformance,), {
        "capabilities": capabilities, "make_store": lambda self: DictStore(can=self.capabilities)})


def test_every_capability_with_calls_is_asked_for_in_vain():
    """Persistent and shared are promises of what is left to others: no call of their own could be refused."""
    assert sorted(REFUSALS) == sorted(ASKED)


@pytest.mark.parametrize("capability", ASKED)
def test_without_a_capability_its_tests_go_and_one_comes(capability):
    full, less = named_tests(having(FULL)), named_tests(having(FULL._replace(**{capability: False})))
    assert f"test_without_{capability}_it_refuses" in less - full
    assert full - less, f"no test needs {capability}"
    again = type("Again", (having(FULL._replace(**{capability: False})),), {"capabilities": FULL})
    assert named_tests(again) == full


@pytest.mark.parametrize("capability", ASKED)
def test_a_store_that_declares_less_than_it_can_fails(capability, tmp_path, monkeypatch):
    """Told to declare less while its methods work as before, as one that hides a failing part would be."""
    class Hiding(DictStore):
        def changes(self, since=0):
            return iter(())

        def backup(self, path, *, progress=None):
            pass

    def claims(self, capability, what):
        self._open()

    Hiding._lacks = Hiding._needs = claims      # set here, since a class that defines them is refused
    kind = type("Hider", (StoreConformance,), {
        "capabilities": FULL._replace(**{capability: False}), "make_store": lambda self: Hiding(can=self.capabilities)})
    with pytest.raises(BaseException, match="DID NOT RAISE|division by zero"):
        case = kind()
        case.folder = tmp_path
        getattr(case, f"test_without_{capability}_it_refuses")(monkeypatch)


@pytest.mark.parametrize("told", [NOTHING, FULL])
def test_a_class_that_declares_other_than_its_store_fails(told):
    kind = type("Other", (StoreConformance,), {"capabilities": told, "make_store": lambda self: DictStore()})
    with pytest.raises(AssertionError):
        kind().test_it_declares_what_its_test_class_does()


def test_a_class_that_declares_nothing_is_refused():
    with pytest.raises(TypeError, match=r"capabilities = MyStore\.capabilities"):
        type("Silent", (StoreConformance,), {"make_store": lambda self: DictStore()})


def test_a_mark_of_no_capability_is_refused():
    with pytest.raises(ValueError, match="journall"):
        needs("journall")


def test_the_suite_has_no_other_way_to_leave_a_test_out():
    sources = list(Path(door43fast.testing.__file__).parent.glob("*.py"))
    assert len(sources) > 10 and [path.name for path in sources if "skip" in path.read_text().replace(
        "skipped", "")] == []


def test_no_group_hides_a_test_of_another():
    """Of two tests of one name in two groups, only one would ever run."""
    groups = [base for base in {*StoreConformance.__mro__, *BudgetConformance.__mro__}
              if base not in (object, Basis, StoreConformance)]
    names = [name for base in groups for name in vars(base) if not name.startswith("__")]
    assert sorted(name for name in set(names) if names.count(name) > 1) == []
