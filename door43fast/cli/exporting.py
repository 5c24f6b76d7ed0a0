"""``door43fast export``."""

from __future__ import annotations

import time

import click
import msgspec

from door43fast.cli import options, output
from door43fast.cli.program import NotFound


@click.command("export")
@click.argument("directory", required=False, type=click.Path(), metavar="[DIR]")
@click.option("--to", "folder", required=True, type=click.Path(), metavar="OUT", help="The folder to write into.")
@click.option(
    "--repository",
    "-r",
    "names",
    multiple=True,
    metavar="NAME",
    help="Only repositories whose names begin so; may be given again.",
)
@click.option("--partial", is_flag=True, help="Export a repository although records of it are missing.")
@options.store
@options.as_json
def command(
    directory: str | None, folder: str, names: tuple[str, ...], partial: bool, store: str, as_json: bool
) -> None:
    """Write the files of every imported repository to OUT/owner/repository@version/, byte for byte.

    DIR is the store, in place of --store.
    """
    from door43fast.resources import export_resources

    started = time.perf_counter()
    with options.read(directory or store) as opened, output.Progress("export", as_json) as progress:
        try:
            exported = export_resources(opened, folder, names=list(names) or None, partial=partial, progress=progress)
        except KeyError as error:
            raise NotFound(
                f"no imported repository is called {error.args[0]}...; door43fast stats lists them"
            ) from None
    seconds = time.perf_counter() - started
    if as_json:
        output.emit(
            {"folder": folder, "seconds": seconds, "repositories": [msgspec.to_builtins(one) for one in exported]}
        )
        return
    for one in exported:
        click.echo(f"{one.folder}: {one.files:,} files, {output.size(one.bytes)}")
    total = sum(one.bytes for one in exported)
    click.echo(f"{output.size(total)} in {seconds:.2f} s ({total / seconds / 1e6:.0f} MB/s) to {folder}")
