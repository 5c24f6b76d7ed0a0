"""``door43fast selftest``: every part of the installation tried with data of its own; or one backend, by the suite."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import click

from door43fast.cli import options, output, trials
from door43fast.cli.program import Unsound
from door43fast.errors import BackendUnavailableError

OK, UNAVAILABLE, FAILED = "ok", "unavailable", "failed"


def tried(name: str, trial: Any, folder: Path) -> dict[str, Any]:
    """The outcome of one trial; nothing that goes wrong in it is passed on."""
    begun = time.perf_counter()
    try:
        state, said = OK, trial(folder)
    except BackendUnavailableError as error:
        state, said = UNAVAILABLE, str(error)
    except Exception as error:      # whatever it is, it is the finding
        state, said = FAILED, f"{type(error).__name__}: {error}"
    return {"part": name, "state": state, "said": said, "seconds": time.perf_counter() - begun}


@click.command("selftest")
@click.option("--store", "-s", "target", metavar="URL", default=None,
              help="Run the conformance suite against this backend instead; a path in it is only read for its options.")
@click.option("--strict", is_flag=True, help="What is not available is a failure too.")
@options.as_json
def command(target: str | None, strict: bool, as_json: bool) -> None:
    """Try every part of this installation with data of its own; with --store, a backend by the conformance suite."""
    if target is not None:
        from door43fast.cli.conforming import conform

        report = conform(target, as_json)
        if as_json:
            output.emit(report)
        if report["failed"]:
            raise Unsound(f"{report['failed']} of {report['passed'] + report['failed']} conformance tests failed for "
                          f"{report['store']}: {', '.join(report['failures'][:5])}")
        if not as_json:
            click.echo(f"{report['store']}: {report['passed']} conformance tests passed")
        return
    found = []
    with tempfile.TemporaryDirectory(prefix="door43fast-selftest-") as scratch:
        for number, (name, trial) in enumerate(trials.all_trials()):
            folder = Path(scratch) / str(number)
            folder.mkdir()
            outcome = tried(name, trial, folder)
            found.append(outcome)
            if not as_json:
                color = {OK: "green", UNAVAILABLE: "yellow", FAILED: "red"}[outcome["state"]]
                click.secho(f"{outcome['state']:12}", fg=color, nl=False)
                click.echo(f"{name:28}{outcome['seconds']:7.2f} s  {outcome['said']}")
    wrong = [one["part"] for one in found if one["state"] == FAILED or strict and one["state"] == UNAVAILABLE]
    if as_json:
        output.emit({"parts": found, "passed": not wrong})
    if wrong:
        raise Unsound(f"of {len(found)} parts these did not pass: {', '.join(wrong)}")
    if not as_json:
        lacking = sum(one["state"] == UNAVAILABLE for one in found)
        click.echo(f"{len(found) - lacking} parts passed" + (f", {lacking} not available here" if lacking else ""))
