"""``door43fast namespaces``."""

import pytest

import door43fast as d43
from door43fast import namespaces


@pytest.fixture
def spaces(empty):
    with d43.LmdbStore(empty.directory) as store:
        d43.namespace(store, "one", max_entries=5, rate=7)["k"] = 1
        d43.namespace(store, "two")["k"] = 1
    return empty


def test_listed(spaces):
    found = spaces.json("namespaces")
    assert [(one["name"], one["entries"], one["max_entries"], one["rate"]) for one in found] == [
        ("one", 1, 5, 7.0), ("two", 1, None, None)]
    assert "refuses" in spaces("namespaces").stdout


def test_dropped(spaces):
    assert spaces.json("namespaces", "--drop", "one")["entries"] == 1
    assert spaces("namespaces", "--drop", "two").stdout == "dropped two: 1 records\n"
    with d43.LmdbStore(spaces.directory) as store:
        assert namespaces.listed(store) == [] and len(store) == 0


def test_what_there_is_not(spaces, tmp_path):
    assert "did you mean 'one'" in spaces.refused(2, "namespaces", "--drop", "oen")
    assert "no store" in spaces.refused(3, "namespaces", "--store", tmp_path / "none")
