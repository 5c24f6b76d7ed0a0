"""A plugin from a package of its own is found, used, and told of when it cannot be."""

import json
import re
import tomllib
from pathlib import Path

from door43fast.plugins.roster import OWN

ROOT = Path(__file__).parents[2]


def test_it_is_found_by_type_and_by_url(installed, tmp_path):
    said = installed("""
import sys, json
import door43fast as d43
with d43.open({"type": "dumbdbm", "path": sys.argv[1]}) as store:
    store["k"] = {"a": [1]}
with d43.open(f"dumb+dbm:///{sys.argv[1]}?ttl=5m", memory="1MB") as store:     # dumb.dbm, as an entry point
    store["t"] = 1
    print(json.dumps([store["k"], store.ttl("t"), type(store).__name__, type(store.slow).__name__]))
""", tmp_path / "s")
    value, left, kind, below = json.loads(said)
    assert value == {"a": [1]} and 299 < left <= 300 and (kind, below) == ("Cascade", "DbmStore")


def test_it_conforms(installed, tmp_path):
    (tmp_path / "test_it.py").write_text("""
from d43_dumbdbm import DbmStore
from door43fast.testing.conformance import StoreConformance

class TestDbm(StoreConformance):
    capabilities = DbmStore.capabilities

    def make_store(self, **options):
        return DbmStore(path=self.folder / self.fresh_name(), **options)
""")
    said = installed("import pytest, sys; sys.exit(pytest.main(['-q', '-p', 'no:cacheprovider', '--rootdir', "
                     "sys.argv[1], sys.argv[1]]))", tmp_path)
    assert " passed" in said and "failed" not in said


def test_one_that_cannot_be_used_says_why_and_what_to_do(installed):
    told = json.loads(installed("""
import json
from door43fast.plugins import registry
from door43fast.errors import BackendUnavailableError
told = {}
for name in ("lacking", "broken", "dumbdbm"):
    about = registry.about(name)
    told[name] = [about.available, about.reason, about.remedy, about.source]
    if not about.available:
        try:
            registry.open(name, {})
        except BackendUnavailableError as error:
            told[name].append(str(error))
print(json.dumps(told))
"""))
    available, reason, remedy, _, sentence = told["lacking"]
    assert not available and "surely_not_installed" in reason and remedy == "install d43-dumbdbm[lacking]"
    assert reason in sentence and remedy in sentence
    assert "broken on purpose" in told["broken"][1] and "d43-dumbdbm" in told["broken"][2]
    assert told["dumbdbm"] == [True, "", "", "d43-dumbdbm"]


def test_it_does_not_take_the_place_of_ours(installed):
    """The package also claims a name of ours."""
    said = installed("""
from door43fast.plugins import registry
registry.names()
print(registry.about("lmdb").source, registry.get("memory").__module__)
""")
    assert said.split() == ["door43fast", "door43fast.plugins.memory"]


def test_nothing_is_read_or_imported_before_it_is_used(installed):
    said = installed("""
import sys
import door43fast as d43
assert "importlib.metadata" not in sys.modules and "door43fast.plugins" not in sys.modules
d43.open("memory:").close()
assert "importlib.metadata" not in sys.modules          # ours need no search
from door43fast.plugins import registry
assert {"dumbdbm", "lacking", "memory"} <= set(registry.names())
assert "d43_dumbdbm" not in sys.modules                 # found, not imported
import importlib.metadata
importlib.metadata.entry_points = None                  # read once
registry.names(), registry.get("dumbdbm")
print("d43_dumbdbm" in sys.modules)
""")
    assert said.strip() == "True"


def test_ours_are_declared_as_entry_points_too():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = project["entry-points"]["door43fast.plugins"]
    assert {name.replace(".", "+"): target for name, target in declared.items()} == OWN
    assert all(re.fullmatch(r"[\w.-]+", name) for name in declared), "packaging tools warn of other signs"
