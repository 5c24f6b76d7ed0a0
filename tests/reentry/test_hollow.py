"""An object that was never initialised gives errors: no call of it, public or not, reaches memory that is not there."""

import subprocess
import sys
from pathlib import Path

PROGRAM = Path(__file__).with_name("hollow.py")


def test_every_method_of_every_native_class_survives_an_object_that_was_never_initialised(tmp_path):
    with open(tmp_path / "calls", "w+") as calls:
        done = subprocess.run([sys.executable, "-X", "faulthandler", PROGRAM], stdout=subprocess.PIPE, stderr=calls,
                              text=True, timeout=300, cwd=tmp_path)
        calls.seek(0)
        assert done.returncode == 0, calls.read()[-3000:]
    assert int(done.stdout.splitlines()[-1]) > 10_000
