"""Compiling a shim (shim/*.c) and running our own code under it."""

import json
import os
import pathlib
import shlex
import signal
import subprocess
import sys

import door43fast

HERE = pathlib.Path(__file__).parent
PATHS = [str(pathlib.Path(door43fast.__file__).parents[1]), str(HERE), os.environ.get("PYTHONPATH")]


def compiled(name, folder):
    target = folder / f"{name}.so"
    run = subprocess.run([*shlex.split(os.environ.get("CC", "gcc")), "-shared", "-fPIC", "-O1", "-fno-builtin",
                          "-Wall", "-Wextra", "-Werror", "-o", target, HERE / "shim" / f"{name}.c", "-ldl",
                          "-lpthread"], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return target


def under(shim, code, *arguments, timeout=600, **settings):
    """Run a file of this folder with a shim before all libraries; its settings are variables ``D43_...``."""
    where = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, PATHS)), "LD_PRELOAD": str(shim),
             **{f"D43_{name.upper()}": str(value) for name, value in settings.items()}}
    return subprocess.run([sys.executable, HERE / code, *map(str, arguments)], capture_output=True, text=True,
                          env=where, timeout=timeout)


def answers(run_from, count):
    """The lines of JSON of a process that says ``at`` before each; one that dies is a crash, and the next goes on.

    ``run_from`` runs it from an answer on.
    """
    found = []
    while len(found) < count:
        run = run_from(len(found))
        lines = run.stdout.splitlines()
        found += [json.loads(line) for line in lines if line.startswith("{")]
        if run.returncode:
            # By a signal while it was at one; anything else is a fault of the harness.
            assert run.returncode < 0 and lines and lines[-1].startswith("at "), run.stderr
            found.append({"found": "crash", "said": signal.Signals(-run.returncode).name, "clean": False,
                          "image": len(found)})
    return found
