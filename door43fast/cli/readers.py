"""``door43fast readers``."""

from __future__ import annotations

import click

from door43fast.cli import options, output


@click.command("readers")
@options.store
@click.option("--clear", is_flag=True, help="Clear the places that dead processes have left.")
@options.as_json
def command(store: str, clear: bool, as_json: bool) -> None:
    """List who has a place in a store's table of readers, and how far behind they read."""
    from door43fast.native.upkeep import readers

    options.exists(store)
    found, cleared = readers(store, clear)
    if as_json:
        output.emit({"store": store, "readers": [one._asdict() for one in found], "cleared": cleared})
        return
    rows = [(one.pid, f"{one.thread:x}", "-" if one.transaction is None else one.transaction,
             "-" if one.lag is None else one.lag, "yes" if one.alive else "no") for one in found]
    if rows:
        output.table(store, ("process", "thread", "transaction", "behind", "alive"), rows)
    else:
        click.echo(f"{store}: nobody has it open")
    if clear:
        click.echo(f"{cleared} {'place' if cleared == 1 else 'places'} of dead processes cleared")
