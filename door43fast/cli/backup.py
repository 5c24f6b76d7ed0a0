"""``door43fast backup``."""

from __future__ import annotations

import os

import click

from door43fast.cli import options, output


@click.command("backup")
@click.argument("directory", metavar="DIR")
@options.store
@options.as_json
def command(directory: str, store: str, as_json: bool) -> None:
    """Write a compact copy of a store, as it is now, into the new directory DIR; others may go on writing."""
    with options.care(store) as opened, output.Progress("writing", as_json) as told:
        opened.backup(directory, progress=told)
    size = os.stat(os.path.join(directory, "data.mdb")).st_size
    if as_json:
        output.emit({"store": store, "backup": directory, "bytes": size})
    else:
        click.echo(f"{store}: copied to {directory}, {output.size(size)}")
