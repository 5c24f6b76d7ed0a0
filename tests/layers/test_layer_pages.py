"""docs/layers.md is true: its tables are those of the schemas. Run as a program, this writes them anew."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from door43fast import config
from door43fast.cli.program import program
from door43fast.plans import STRATEGIES, GuardOptions

PAGE = Path(__file__).parents[2] / "docs" / "layers.md"
TABLE = re.compile(r"(<!-- options: (\w+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)


def schema(name):
    return GuardOptions if name == "guard" else STRATEGIES[name].Options


def test_every_strategy_has_its_table():
    tables = {name: table for _, name, table, _ in TABLE.findall(PAGE.read_text())}
    assert tables == {name: config.table(schema(name)) for name in [*STRATEGIES, "guard"]}


@pytest.mark.parametrize("name", [*STRATEGIES, "guard"])
def test_the_command_line_shows_its_options(name):
    def run(*args):
        done = CliRunner().invoke(program, ["strategies", name, *args])
        assert done.exit_code == 0, done.output
        return done.output
    shown = json.loads(run("--json"))
    assert [one["name"] for one in shown] == list(config.fields(schema(name)))
    properties = json.loads(run("--schema"))["properties"]
    textual = {field.name for field in config.fields(schema(name)).values() if field.textual}
    assert set(properties) == textual | (set() if name == "guard" else {"strategy", "layers"})
    assert all(one in run() for one in config.fields(schema(name)))


def test_the_command_line_lists_the_strategies():
    done = CliRunner().invoke(program, ["strategies", "--json"])
    assert {one["name"] for one in json.loads(done.output)} == set(STRATEGIES)
    assert all(one["about"] and one["layers"] for one in json.loads(done.output))


if __name__ == "__main__":
    PAGE.write_text(TABLE.sub(lambda m: m[1] + config.table(schema(m[2])) + m[4], PAGE.read_text()))
