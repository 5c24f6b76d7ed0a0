"""``door43fast bench``."""

from __future__ import annotations

import os
import random
import tempfile

import click

from door43fast.cli import contest, machine, output, workload
from door43fast.cli import options as shared


def records(count: int, size: int) -> list[tuple[str, bytes]]:
    """Made-up records: a thousand groups of keys, values of random bytes."""
    dice = random.Random(workload.SEED)
    return [(f"group/{number % 1000:03}/record/{number:08}", dice.randbytes(size)) for number in range(count)]


@click.command("bench")
@click.option(
    "--records", "count", type=click.IntRange(min=1000), default=50_000, show_default=True, help="How many records."
)
@click.option("--size", type=click.IntRange(min=1), default=300, show_default=True, help="Bytes a value.")
@click.option(
    "--directory",
    type=click.Path(file_okay=False),
    default=None,
    help="Where the files are put and removed again; the system's temporary folder if not given.",
)
@shared.as_json
def command(count: int, size: int, directory: str | None, as_json: bool) -> None:
    """Read made-up records from door43fast and from the installed peers, and print the speeds side by side."""
    from door43fast.lmdb import LmdbStore

    items = records(count, size)
    work = workload.draw([key for key, _ in items], sorted({key[:10] for key, _ in items}))
    with tempfile.TemporaryDirectory(prefix="door43fast-bench-", dir=directory) as scratch:
        home = os.path.join(scratch, "door43fast")
        with LmdbStore(home, durability="batch") as store:
            store.set_many(items)
        found = contest.run(items, work, home, scratch)
    if as_json:
        output.emit({"records": count, "size": size, "python": machine.python(), "system": machine.system(), **found})
    else:
        contest.print_table(found)
