"""``door43fast ls``."""

from __future__ import annotations

from itertools import islice

import click

from door43fast.cli import nearest, options, output
from door43fast.cli.program import NotFound
from door43fast.resources.keys import RESERVED


@click.command("ls")
@click.argument("prefix", default="")
@click.option("--limit", "-n", type=click.IntRange(min=0), default=None, help="The most keys to print.")
@click.option("--count", "only_count", is_flag=True, help="Print how many there are, not which.")
@click.option("--all", "-a", "everything", is_flag=True, help="With the importer's own records, which begin with ~.")
@options.store
@options.as_json
def command(prefix: str, limit: int | None, only_count: bool, everything: bool, store: str, as_json: bool) -> None:
    """List the keys that begin with PREFIX, in canonical order: a repository, a book, a chapter, a folder."""
    shown = everything or prefix.startswith(RESERVED)
    with options.care(store) as opened:
        begin = options.key_of(opened, prefix) if prefix else ""
        if prefix and opened.plan["keys"] == "int":
            raise click.UsageError("keys that are whole numbers, as here, have no beginning: leave PREFIX out")
        found = (key for key in opened.keys(begin) if shown or not str(key).startswith(RESERVED))
        listed = list(islice(found, limit))
        if prefix and not listed and limit != 0:
            raise NotFound(nearest.sentence(opened, prefix, "key that begins with"))
    if only_count:
        output.emit({"prefix": prefix, "count": len(listed)}) if as_json else click.echo(len(listed))
    elif as_json:
        output.emit(listed)
    elif listed:
        click.echo(b"\n".join(key if isinstance(key, bytes) else str(key).encode() for key in listed))
