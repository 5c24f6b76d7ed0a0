"""Worker processes: started, told to go on, and ended with the test."""

import contextlib
import os
import pathlib
import subprocess
import sys

WORKER = pathlib.Path(__file__).with_name("flight_worker.py")


@contextlib.contextmanager
def workers():
    """Gives what starts one; it says "ready", waits for a line, and then does what it was told."""
    running = []

    def begin(what, kind, path, loads, *rest, **environment):
        process = subprocess.Popen([sys.executable, str(WORKER), what, kind, str(path), str(loads), *map(str, rest)],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                   env={**os.environ, **environment})
        running.append(process)
        assert process.stdout.readline() == "ready\n"
        return process
    yield begin
    for process in running:
        process.kill()
        process.communicate()


def go(process):
    """What a worker waits for."""
    process.stdin.write("\n")
    process.stdin.flush()


def lines(loads):
    """How many computations there were."""
    return loads.read_bytes().count(b"\n") if loads.exists() else 0
