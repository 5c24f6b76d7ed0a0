"""The native cascade is built once more without one of its rules, and its traces are no longer runs of the models."""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
GOOD = "    return t.epoch == k.epoch and t.stripe[k.place] == k.count\n"
DROP = "            self.tickets.stripe[mix(PyObject_Hash(local)) % STRIPES] += 1\n"
RENEW = "        if epoch == self.seen:\n"
RULES = {
    "promotions look at their tickets": ("tickets.pxd", GOOD, "    return True\n", "one process"),
    "a write raises its stripe when it ends": (
        "tickets.pxd", "    cdef bint alone = ticket_good(t, k)\n    t.stripe[k.place] += 1\n",
        "    cdef bint alone = ticket_good(t, k)\n", "one process"),
    "what others changed leaves the tier": ("coherence.pyx", RENEW, "        if True:\n", "two processes"),
    "and takes its tickets with it": ("coherence.pyx", DROP, "", "two processes"),
}


@pytest.mark.nightly
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("rule", RULES)
def test_a_core_without_the_rule_is_refused(tmp_path, rule):
    source, before, after, what = RULES[rule]
    for folder in ("cext", "door43fast"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    for file in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy2(ROOT / file, tmp_path)
    path = tmp_path / "cext" / "door43fast" / "native" / source
    assert before in path.read_text()
    path.write_text(path.read_text().replace(before, after))
    subprocess.run([sys.executable, "setup.py", "--quiet", "build_ext", "--inplace"], cwd=tmp_path, check=True,
                   timeout=3000)
    folder = tmp_path / "traces"
    folder.mkdir()
    paths = os.pathsep.join([str(tmp_path), str(ROOT / "tests")])
    done = subprocess.run([sys.executable, "-m", "models.refused", what, folder], capture_output=True, text=True,
                          cwd=tmp_path, env={**os.environ, "PYTHONPATH": paths}, timeout=600)
    assert done.returncode == 0, done.stderr
    where, refused, of = done.stdout.split()
    assert where == str(tmp_path), "it is not the core that was built"
    print(f"without '{rule}': {refused} of {of} traces refused")
    assert int(refused) > 0
