"""``door43fast compact``."""

from __future__ import annotations

import click

from door43fast.cli import options, output


@click.command("compact")
@options.store
@options.as_json
def command(store: str, as_json: bool) -> None:
    """Write the file of a store anew without what is free in it; nobody else may have it open."""
    from door43fast.lmdb import compact

    # What a killed process has left is brought to the disk by opening and closing it.
    options.care(store, readonly=False).close()
    with output.Progress("writing", as_json) as told:
        sizes = compact(store, progress=told)
    if as_json:
        output.emit({"store": store, **sizes})
    else:
        click.echo(f"{store}: {output.size(sizes['before'])} before, {output.size(sizes['after'])} after")
