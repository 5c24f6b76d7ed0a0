"""``door43fast host`` and ``door43fast recommend``."""

from __future__ import annotations

from typing import Any

import click

from door43fast.cli import options, output
from door43fast.host import detect, recommend
from door43fast.host import probe as measure

_SIZES = ("memory", "memory_total", "memory_limit", "disk_free", "disk_total")

at = click.option("--path", default=".", show_default=True, metavar="DIR", help="Where the store is, or will be.")


def _shown(name: str, value: Any) -> str:
    if value is None:
        return "none" if name in ("memory_limit", "cpu_quota") else "unknown"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(one for one, there in value.items() if there) or "none"
    if isinstance(value, tuple):
        return ", ".join(value) or "nothing"
    return output.size(value) if name in _SIZES else str(value)


@click.command("host")
@at
@click.option("--probe", is_flag=True, help="Measure what the disk takes, for a tenth of a second.")
@options.as_json
def command(path: str, probe: bool, as_json: bool) -> None:
    """Say what this process may use: processors, memory, disk, Python build, optional packages."""
    found = detect(path).as_dict()
    if probe:
        found["probe"] = measure(path)._asdict()
    if as_json:
        output.emit(found)
        return
    measured = found.pop("probe", {})
    output.table("door43fast host", ("", ""), [
        *((name.replace("_", " "), _shown(name, value)) for name, value in found.items()),
        *((f"probe: {name}", f"{value:.1f} us" if isinstance(value, float) else value)
          for name, value in measured.items())])


@click.command("recommend")
@click.option("--expected-bytes", "expected", metavar="SIZE", help='How much will be kept, such as "100MB".')
@click.option("--ratio", type=float, metavar="N", help="Reads for each write.")
@click.option("--offline", is_flag=True, help="What is kept cannot be fetched anew.")
@click.option("--performance", type=click.Choice(["low", "medium", "high"]), default="medium", show_default=True,
              help="How much memory it may take for being fast.")
@click.option("--path", default="door43-store", show_default=True, metavar="DIR", help="Where the store will be.")
@options.as_json
def advise(expected: str | None, ratio: float | None, offline: bool, performance: str, path: str,
           as_json: bool) -> None:
    """Plans for a store on this machine, the best first, with the reasons; door43fast.open takes each."""
    from door43fast.config import size

    choices = recommend(expected_bytes=None if expected is None else size(expected, "--expected-bytes"),
                        read_write_ratio=ratio, offline=offline, performance=performance, path=path)
    if as_json:
        output.emit([one.as_dict() for one in choices])
        return
    for place, one in enumerate(choices, 1):
        click.echo(f"{place}. {one.name} ({one.score} points)")
        for reason in one.reasons:
            click.echo(f"   - {reason}")
        click.echo(f"   door43fast.open({one.plan!r})\n")
