"""What is done in the middle of a call never reaches memory that is not there: each program in a process of its own."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("provoked.py")

spec = importlib.util.spec_from_file_location("reentry_provoked", PROGRAM)
provoked = importlib.util.module_from_spec(spec)
spec.loader.exec_module(provoked)


@pytest.mark.parametrize("name", provoked.PROGRAMS)
def test_survives_what_is_done_in_the_middle_of_a_call(name):
    done = subprocess.run([sys.executable, "-X", "faulthandler", PROGRAM, name], capture_output=True, text=True,
                          timeout=120)
    assert (done.returncode, done.stdout.split()) == (0, ["ok"]), (done.stdout + done.stderr)[-3000:]
    assert not done.stderr, done.stderr[-3000:]
