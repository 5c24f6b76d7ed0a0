"""``door43fast import-diskcache``."""

from __future__ import annotations

import time

import click
import msgspec

from door43fast.cli import options, output
from door43fast.cli.program import Unsound

SHOWN = 20      # problems that are printed by key


@click.command("import-diskcache")
@click.argument("old", type=click.Path(), metavar="OLD")
@options.into
@click.option(
    "--pickle",
    "pickles",
    is_flag=True,
    help="Unpickle what is pickled. It runs whatever code OLD names: only for a cache that nobody else can write to.",
)
@options.as_json
def command(old: str, store: str, pickles: bool, as_json: bool) -> None:
    """Bring a cache of diskcache into a store for door43fast.compat.diskcache: keys, values, expiry, tags.

    OLD is the directory of a Cache or FanoutCache that no program has open; nothing in it is written. What is pickled
    is left out and counted, unless --pickle is given. Every record is read back and compared.
    """
    from door43fast.compat.diskcache_import import PICKLED_KEY, PICKLED_VALUE, import_diskcache

    if pickles and not as_json:
        click.echo(f"door43fast: --pickle runs the code that the pickles in {old} name; break off if it is not yours",
                   err=True)
    started = time.perf_counter()
    with output.Progress("import", as_json, bytes=False) as progress:
        report = import_diskcache(old, store, pickles=pickles, progress=progress)
    seconds = time.perf_counter() - started
    if as_json:
        output.emit({"old": old, "store": store, "seconds": seconds, **msgspec.to_builtins(report)})
    else:
        click.echo(f"{report.taken:,} records ({report.tags:,} with a tag, {report.expiring:,} with an expiry, "
                   f"{output.size(report.bytes)}) in {seconds:.2f} s into {store}, each read back")
        for reason, number in sorted(report.skipped.items()):
            click.echo(f"left out: {number:,}, {reason}")
        if not pickles and {PICKLED_KEY, PICKLED_VALUE} & set(report.skipped):
            click.echo("what is pickled comes over with --pickle, which runs the code that it names")
        for problem in report.problems[:SHOWN]:
            click.echo(f"not taken: {problem.key}: {problem.reason}", err=True)
    if report.problems:
        first = report.problems[0]
        raise Unsound(f"{len(report.problems):,} records of {old} could not be taken, the first: {first.key}: "
                      f"{first.reason}")
