"""``door43fast selftest``: what passes, what is not there, what is wrong; and a backend tried by the suite."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import HOME
from .test_process import process


def lying(*arguments):
    return subprocess.run([sys.executable, Path(__file__).with_name("lying_backend.py"), *arguments], timeout=300,
                          capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": str(HOME)})


def test_every_part_is_tried():
    found = json.loads(process("selftest", "--json").stdout)
    parts = {one["part"]: one for one in found["parts"]}
    assert found["passed"] and {one["state"] for one in parts.values()} <= {"ok", "unavailable"}
    for part in ("native core", "memory", "lmdb", "memory over lmdb", "events", "event loops", "metrics", "prometheus",
                 "backend sqlite", "backend filesystem", "import, export, passage"):
        assert parts[part]["state"] == "ok", parts[part]
    assert parts["backend redis"]["state"] == "unavailable" and "--store redis://" in parts["backend redis"]["said"]


def test_what_is_not_there_is_told_and_fails_only_if_asked():
    said = process("selftest").stdout.decode()
    assert "not available here" in said and said.count("\n") >= 14
    told = process("selftest", "--strict", code=1).stderr
    assert b"did not pass: backend " in told and b"backend redis" in told


def test_without_an_optional_package_its_remedy_is_told():
    script = ("import sys; sys.modules['prometheus_client'] = sys.modules['yaml'] = None\n"
              "from door43fast.cli import main; sys.argv = ['door43fast', 'selftest', '--json']; main()")
    done = subprocess.run([sys.executable, "-c", script], cwd=HOME, capture_output=True, timeout=120, check=True)
    parts = {one["part"]: one for one in json.loads(done.stdout)["parts"]}
    assert parts["prometheus"]["state"] == parts["import, export, passage"]["state"] == "unavailable"
    assert "door43fast[metrics]" in parts["prometheus"]["said"]
    assert "door43fast[door43]" in parts["import, export, passage"]["said"]


def test_a_part_that_is_wrong_is_found():
    done = lying("selftest")
    assert done.returncode == 1 and "did not pass: backend lying" in done.stderr
    assert "get_many gave something else than was set" in done.stdout
    found = json.loads(lying("selftest", "--json").stdout)
    assert not found["passed"] and [one["part"] for one in found["parts"] if one["state"] == "failed"] == [
        "backend lying"]


def test_a_backend_by_the_suite():
    done = process("selftest", "--store", "memory:?max_entries=100000", "--json")
    found = json.loads(done.stdout)
    assert found["failed"] == 0 and found["passed"] > 200 and found["failures"] == []


def test_a_backend_that_does_not_conform():
    done = lying("selftest", "--store", "lying:", "--json")
    found, told = json.loads(done.stdout), json.loads(done.stderr)["error"]
    assert done.returncode == told["code"] == 1 and found["failed"] > 5
    assert "conformance tests failed" in told["message"]


def test_the_suite_says_what_it_needs():
    script = ("import sys; sys.modules['pytest'] = None\n"
              "from door43fast.cli import main; sys.argv = ['door43fast', 'selftest', '--store', 'memory:']; main()")
    done = subprocess.run([sys.executable, "-c", script], cwd=HOME, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (
        4, b"door43fast: the conformance suite needs pytest: run pip install pytest\n")


@pytest.mark.parametrize("target", ["sqlit:", "sqlite:///x?durabilty=none"])
def test_what_cannot_be_opened_is_refused(target):
    assert b"did you mean" in process("selftest", "--store", target, code=2).stderr
