"""``door43fast doctor``."""

from __future__ import annotations

from typing import Any

import click

from door43fast.cli import machine, options, output

_SIZES = ("memory", "cgroup_limit", "address_space_limit", "free", "total")


def _shown(name: str, value: Any) -> str:
    if value is None:
        return "none" if name.endswith("limit") else "not installed" if name in machine.PACKAGES else "unknown"
    return output.size(value) if name in _SIZES and isinstance(value, int) else str(value)


@click.command("doctor")
@options.store
@options.as_json
def command(store: str, as_json: bool) -> None:
    """Say what this machine has: Python build, C libraries, memory, file system, packages; and what will hurt."""
    about = machine.survey(store)
    if as_json:
        output.emit(about)
        return
    rows = [("door43fast", about["door43fast"])]
    for group in ("python", "libraries", "native", "system", "disk", "packages"):
        rows += [(f"{group}: {name.replace('_', ' ')}", _shown(name, value)) for name, value in about[group].items()]
    output.table("door43fast doctor", ("", ""), rows)
    for warning in about["warnings"]:
        click.secho(f"! {warning}", fg="yellow")
