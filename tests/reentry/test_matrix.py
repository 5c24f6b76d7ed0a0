"""The re-entry matrix: code of the user's that an engine runs may do anything to the same store.

Rivals hang or abort on parts of this. Each probe is a process of its own with a time limit; the table of all of
them is printed at the end.
"""

import importlib.util
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

PROBE = Path(__file__).with_name("probe.py")
LIMIT = 60  # seconds; a probe takes less than one

spec = importlib.util.spec_from_file_location("reentry_probe", PROBE)
probe = importlib.util.module_from_spec(spec)
spec.loader.exec_module(probe)

# Hooks that an engine need not run at all, because it takes keys and values by content.
SILENT = {("lmdb", "key __eq__"), ("lmdb", "key __hash__"), ("lmdb", "value __del__"), ("cascade", "key __eq__"),
          ("cascade", "key __hash__"), ("cascade", "value __del__")}
CELLS = [(engine, hook, action) for engine in probe.ENGINES for hook in probe.HOOKS for action in probe.ACTIONS
         if (engine, hook) not in probe.NOT_THERE]


def run(cell):
    try:
        done = subprocess.run([sys.executable, "-X", "faulthandler", PROBE, *cell], capture_output=True, text=True,
                              timeout=LIMIT)
    except subprocess.TimeoutExpired:
        return "hangs", 0
    last = done.stdout.strip().splitlines()[-1:]
    if done.returncode or not last or not last[0].startswith("ok "):
        return f"exit {done.returncode}: {(done.stdout + done.stderr).strip()[-1500:]}", 0
    return "passes", int(last[0].split()[1])


@pytest.fixture(scope="module")
def outcomes(request):
    """What came of the cells whose tests run; of all, where the table is printed."""
    here = [item for item in request.session.items if item.path == request.path]
    cells = [item.callspec.params["cell"] for item in here if hasattr(item, "callspec")]
    if len(cells) < len(here):
        cells = CELLS
    with ThreadPoolExecutor(2) as pool:
        return dict(zip(cells, pool.map(run, cells), strict=True))


@pytest.mark.parametrize("cell", CELLS, ids="-".join)
def test_survives(outcomes, cell):
    outcome, fired = outcomes[cell]
    assert outcome == "passes"
    assert fired > 0 or cell[:2] in SILENT, "the hook never ran: the probe proves nothing"


def test_prints_the_table(outcomes, capsys):
    lines = ["", f"{'re-entry from':<16}" + "".join(f"{engine:<12}" for engine in probe.ENGINES)]
    for hook in probe.HOOKS:
        cells = [[outcomes[engine, hook, action][0] for action in probe.ACTIONS]
                 if (engine, hook) not in probe.NOT_THERE else ["-"] for engine in probe.ENGINES]
        lines.append(f"{hook:<16}" + "".join(
            f"{'-' if cell == ['-'] else 'passes' if set(cell) == {'passes'} else 'FAILS':<12}" for cell in cells))
    with capsys.disabled():
        print("\n".join(lines))
    assert "FAILS" not in "".join(lines)
