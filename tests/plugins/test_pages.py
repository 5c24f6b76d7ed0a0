"""docs/backends.md and docs/plugins.md are true: tables are those of the schemas, and the example is the one tested.

``python tests/plugins/test_pages.py`` writes the tables anew.
"""

import re
from pathlib import Path

import pytest

from door43fast import config
from door43fast.assembly import TierOptions
from door43fast.plugins import registry
from door43fast.plugins.roster import OWN

ROOT = Path(__file__).parents[2]
BACKENDS = ROOT / "docs" / "backends.md"
TABLE = re.compile(r"(<!-- options: (\w+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)


def schema(name):
    return TierOptions if name == "tier" else registry.get(name).Options


def test_every_table_is_that_of_its_schema():
    tables = {name: table for _, name, table, _ in TABLE.findall(BACKENDS.read_text())}
    assert tables == {name: config.table(schema(name)) for name in tables}
    shown = {registry.get(name).Options for name in tables if name != "tier"}
    assert shown == {registry.get(name).Options for name in OWN}


def test_the_example_is_the_one_that_is_tested():
    example = re.search(r"```python\n(.*?)```", (ROOT / "docs" / "plugins.md").read_text(), re.DOTALL).group(1)
    tested = (ROOT / "tests" / "plugins" / "thirdparty" / "d43_dumbdbm" / "__init__.py").read_text()
    assert example == tested        # test_thirdparty.py installs it and runs the conformance suite over it
    assert len(example.splitlines()) < 80


@pytest.mark.parametrize("store", ["MemoryStore", "LmdbStore"])
def test_a_schema_has_every_option_of_its_store(store):
    import inspect

    import door43fast

    documented = inspect.getdoc(getattr(door43fast, store)).split("Parameters\n")[1].split("\nRaises\n")[0]
    named = set(re.findall(r"^(\w+) : ", documented, re.MULTILINE))
    assert named == set(config.fields(registry.get(store.removesuffix("Store").lower()).Options))


if __name__ == "__main__":
    BACKENDS.write_text(TABLE.sub(lambda m: m[1] + config.table(schema(m[2])) + m[4], BACKENDS.read_text()))
