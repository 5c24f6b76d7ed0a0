"""``door43fast namespaces``."""

from __future__ import annotations

from typing import Any

import click

from door43fast.cli import options, output
from door43fast.namespaces import drop, listed


def _limit(value: Any) -> str:
    return "-" if value is None else f"{value:,}"


@click.command("namespaces")
@options.store
@click.option("--drop", "dropped", metavar="NAME", help="Take this one out, with all that it holds.")
@options.as_json
def command(store: str, dropped: str | None, as_json: bool) -> None:
    """List the namespaces of a store: what each holds, and its limits."""
    with options.care(store, readonly=dropped is None) as opened:
        if dropped is not None:
            gone = drop(opened, dropped)
            if as_json:
                output.emit({"store": store, "dropped": dropped, "entries": gone})
            else:
                click.echo(f"dropped {dropped}: {gone:,} records")
            return
        found = listed(opened)
    if as_json:
        output.emit([one._asdict() for one in found])
        return
    output.table(store, ("namespace", "entries", "of", "bytes", "of", "when full", "keys a second"), [
        (one.name, f"{one.entries:,}", _limit(one.max_entries), f"{one.bytes:,}", _limit(one.max_bytes),
         "refuses" if one.policy == "none" else one.policy, _limit(one.rate)) for one in found])
