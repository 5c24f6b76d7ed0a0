"""docs/layers-table.md is what its rows give when they are run, and has a row for each call of the contract."""

import inspect
from pathlib import Path

import pytest

from door43fast.contracts import Store
from door43fast.testing.layer_rows import OPERATIONS, run
from door43fast.testing.layer_table import CASES, HEAD, section

PAGE = (Path(__file__).parents[2] / "docs" / "layers-table.md").read_text(encoding="utf-8")
ELSEWHERE = {
    "subscribe": "tests/scenarios/test_layers.py", "changes": "most layered stores keep no journal",
    "record_trace": "counts reads, and changes nothing", "backup": "of stores on disk", "close": "ends all layers"}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.title)
def test_the_page_is_what_comes_out(case):
    assert section(case) in PAGE, "run: python -m door43fast.testing.layer_table > docs/layers-table.md"


def test_the_page_has_nothing_else():
    assert PAGE.startswith(HEAD) and PAGE.count("\n## ") == len(CASES)


def test_every_call_is_a_row():
    rows = {name.strip() for operation in OPERATIONS for name in operation.name.split(",")}
    named = {"__getitem__": "[]", "__setitem__": "[]=", "__delitem__": "del", "__contains__": "in", "__len__": "len",
             "__iter__": "iter"}
    calls = {named.get(name, name) for name in vars(Store) if inspect.isfunction(vars(Store)[name])
             and (not name.startswith("_") or name in named)}
    assert {"get", "set", "[]=", "memoize"} <= calls
    assert calls - rows - set(ELSEWHERE) == set()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.title)
def test_what_was_acknowledged_holds_in_the_end(case):
    """In the layer that decides: the slowest of a cascade, the first of others; and a mirror has the same."""
    decides = -1 if "cascade" in case.title else 0
    for failing in range(len(case.layers)):
        for operation in OPERATIONS:
            for kind in case.kinds if operation.writes else ():
                row = run(case, operation, failing, kind)
                if row.gives == "ok":
                    assert row.later[decides] != "old", (operation.name, case.layers[failing], kind, row)
                if "no mirror" not in case.title and "cascade" not in case.title:
                    assert len(set(row.later)) == 1, (operation.name, case.layers[failing], kind, row)
