"""The command line run in this process, over a store that holds our own sample."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from door43fast.cli.program import program

HOME = Path(__file__).parents[2]
SAMPLE = HOME / "examples" / "rc"


class Run:
    """Runs a command; ``json`` gives what it printed, and asserts that it went well."""

    def __init__(self, directory):
        self.directory = directory

    def __call__(self, *arguments):
        return CliRunner().invoke(
            program,
            [str(one) for one in arguments],
            env={"DOOR43FAST_STORE": str(self.directory)},
            prog_name="door43fast",
        )

    def json(self, *arguments):
        result = self(*arguments, "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    def refused(self, code, *arguments):
        """One sentence on standard error and nothing else; with --json the same as JSON."""
        result = self(*arguments)
        assert (result.exit_code, result.stdout) == (code, ""), result.output
        assert result.stderr.startswith("door43fast: ") and result.stderr.count("\n") == 1
        by_json = json.loads(self(*arguments, "--json").stderr)["error"]
        assert by_json["code"] == code and by_json["message"] in result.stderr
        return result.stderr


@pytest.fixture
def empty(tmp_path):
    return Run(tmp_path / "store")


@pytest.fixture
def run(empty):
    assert empty("import", SAMPLE).exit_code == 0
    return empty
