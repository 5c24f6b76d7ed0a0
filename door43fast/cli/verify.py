"""``door43fast verify``."""

from __future__ import annotations

import click

from door43fast.cli import options, output
from door43fast.cli.program import Unsound
from door43fast.errors import CorruptError


@click.command("verify")
@options.store
@options.as_json
def command(store: str, as_json: bool) -> None:
    """Read a whole store, check every record's checksum, and that no imported repository lacks records."""
    from door43fast.resources import repositories

    with options.care(store) as opened:
        try:
            with output.Progress("checking", as_json, bytes=False) as told:
                found = opened.verify(progress=told)
            problems = [str(problem) for problem in found["errors"]]
            for held in repositories(opened) if opened.plan["keys"] == "str" else ():
                present = opened.count(f"{held.name}/")
                if present < held.records:
                    problems.append(f"{held.name} has {present:,} of its {held.records:,} records; import it again")
        except CorruptError as error:
            found, problems = {"checked": None}, [str(error)]
    if problems:
        raise Unsound("; ".join(problems))
    if as_json:
        output.emit({"store": store, "checked": found["checked"], "errors": []})
    else:
        click.echo(f"{store}: {found['checked']:,} records checked, all sound")
