"""Runs a model through spin: writes its checker, compiles it, and searches every state of it."""

import pathlib
import re
import shutil
import subprocess
from typing import NamedTuple

FOLDER = pathlib.Path(__file__).parent
DEPTH = 100_000         # steps; a run that is longer makes the search incomplete, which is an error here
# States are kept whole (COLLAPSE packs them without loss): no hash takes the place of one.
FLAGS = ["-w", "-DSAFETY", "-DNOFAIR", "-DCOLLAPSE"]


class Found(NamedTuple):
    errors: int
    states: int
    depth: int
    text: str


def checker(folder, model, *switches, level="-O1"):
    """The program that searches ``model``, a file of this folder or of ``folder``."""
    for source in FOLDER.glob("*.pml"):
        shutil.copy(source, folder)
    _run(folder, 60, "spin", "-a", *(f"-D{switch}" for switch in switches), f"{model}.pml")
    _run(folder, 300, "gcc", level, *FLAGS, "-o", "pan", "pan.c")
    return folder / "pan"


def output(folder, model, *switches, limit=300):
    """What the checker of ``model`` prints while it searches all states, where every end is allowed."""
    text = _run(folder, limit, checker(folder, model, *switches, level="-O0"), "-E", f"-m{DEPTH}")
    assert "max search depth too small" not in text and "Search not completed" not in text, text
    return text


def search(folder, model, *switches, limit=300, level="-O1"):
    """All states of ``model``; of one with an error those before it, and the error as the text tells it."""
    text = _run(folder, limit, checker(folder, model, *switches, level=level), f"-m{DEPTH}")
    found = re.search(r"depth reached (\d+), errors: (\d+)\n\s*(\d+) states, stored", text)
    assert found, f"{model} {switches}: {text}"
    assert "max search depth too small" not in text and "out of memory" not in text, f"{model} {switches}: {text}"
    depth, errors, states = (int(one) for one in found.groups())
    assert errors or "Search not completed" not in text, f"{model} {switches}: {text}"
    assert "Full statespace search" in text and depth < DEPTH, f"{model} {switches}: {text}"
    return Found(errors, states, depth, text)


def _run(folder, limit, *command):
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=limit)
    assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done.stdout
