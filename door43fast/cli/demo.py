"""``door43fast demo``: the main job, from import to the table of speeds."""

from __future__ import annotations

import os
import tempfile
import time
from typing import Any

import click

from door43fast.cli import contest, machine, options, output, sample, workload
from door43fast.cli.program import Unsound

ASKED = ("TIT 1:1", "JON 1:1", "MRK 1:1", "GEN 1:1")
# The peers are filled with no more than this, so that the demo stays below a minute and a gigabyte.
MOST_RECORDS = 150_000


def _imported(sources: list[str], directory: str, quiet: bool) -> dict[str, Any]:
    from door43fast.resources.importing import import_containers, open_sources

    started = time.perf_counter()
    with options.write(directory) as store, output.Progress("import", quiet) as progress:
        reports = import_containers(store, open_sources(sources), progress)
        store.flush()
    seconds = time.perf_counter() - started
    size = sum(report.repository.bytes for report in reports)
    return {
        "repositories": [report.repository.name for report in reports],
        "seconds": seconds,
        "bytes": size,
        "records": sum(report.repository.records for report in reports),
        "bytes_per_second": size / seconds,
    }


def _exported(sources: list[str], directory: str, folder: str) -> dict[str, Any]:
    """Export everything, and compare it with the sources byte for byte."""
    from door43fast.resources import export_resources
    from door43fast.resources.importing import open_sources

    started = time.perf_counter()
    with options.read(directory) as store:
        exported = export_resources(store, folder)
    seconds = time.perf_counter() - started
    files = 0
    for container in open_sources(sources):
        home = os.path.join(os.fsencode(folder), str(container.identity.name).encode())
        for entry in container.entries:
            with open(os.path.join(home, entry.path), "rb") as file:
                if file.read() != entry.read():
                    raise Unsound(
                        f"{os.fsdecode(entry.path)} of {container.identity.name} did not come back byte for byte"
                    )
            files += 1
    return {"seconds": seconds, "files": files, "bytes": sum(one.bytes for one in exported)}


def _passages(directory: str) -> list[dict[str, Any]]:
    import door43fast
    from door43fast.resources import passage

    found = []
    with door43fast.open(directory) as store:
        for text in ASKED:
            started = time.perf_counter()
            records = passage(store, text)
            cold = time.perf_counter() - started
            started = time.perf_counter()
            passage(store, text)
            warm = time.perf_counter() - started
            if records:
                found.append({"passage": text, "records": len(records), "cold_seconds": cold, "warm_seconds": warm})
    return found


def _items(directory: str) -> list[tuple[str, bytes]]:
    from itertools import islice

    with options.read(directory) as store:
        return list(islice(store.scan(), MOST_RECORDS))


def _chapters(items: list[tuple[str, bytes]]) -> list[str]:
    """The prefixes of chapters; in a sample without books those of the repositories."""
    from door43fast.resources import keys

    found = set()
    for key, _ in items:
        parsed = keys.parse(key)
        if parsed is not None:
            found.add(f"{parsed.name}/{parsed.section}/{parsed.place[:3]}/" if parsed.section else f"{parsed.name}/")
    chapters = sorted(prefix for prefix in found if prefix.count("/") > 2)
    return chapters or sorted(found)


def _say(about: dict[str, Any]) -> None:
    brought, back = about["import"], about["export"]
    click.echo(
        f"imported  {len(brought['repositories'])} repositories, {brought['records']:,} records, "
        f"{output.size(brought['bytes'])} in {brought['seconds']:.2f} s "
        f"({brought['bytes_per_second'] / 1e6:.0f} MB/s)"
    )
    click.echo(
        f"exported  {back['files']:,} files, {output.size(back['bytes'])} in {back['seconds']:.2f} s, "
        "compared with the sources: the same byte for byte"
    )
    for one in about["passages"]:
        click.echo(
            f"passage   {one['passage']}: {one['records']} records in {one['cold_seconds'] * 1e3:.2f} ms cold, "
            f"{one['warm_seconds'] * 1e3:.2f} ms warm"
        )
    click.echo()
    contest.print_table(about)


@click.command("demo")
@click.option(
    "--data",
    type=click.Path(),
    default=None,
    metavar="PATH",
    help=f"What to import; by default {sample.BESIDE} where it is, else our own small sample.",
)
@click.option(
    "--into",
    "directory",
    type=click.Path(file_okay=False),
    default=None,
    metavar="DIR",
    help="Keep the store here; by default it is put into a temporary folder and removed.",
)
@options.as_json
def command(data: str | None, directory: str | None, as_json: bool) -> None:
    """Import real resources, export them, ask for passages, and read keys, batches and prefixes cold and warm."""
    sources = sample.sources(data)
    if not as_json:
        click.echo(f"importing {', '.join(sources)}")
    with tempfile.TemporaryDirectory(prefix="door43fast-demo-") as scratch:
        home = directory or os.path.join(scratch, "door43fast")
        about: dict[str, Any] = {"sources": sources, "import": _imported(sources, home, as_json)}
        about["export"] = _exported(sources, home, os.path.join(scratch, "export"))
        about["passages"] = _passages(home)
        items = _items(home)
        chapters = _chapters(items)
        content = [key for key, _ in items if not key.startswith("~")]
        about |= contest.run(items, workload.draw(content, chapters), home, scratch)
        about |= {"python": machine.python(), "system": machine.system()}
    if as_json:
        output.emit(about)
    else:
        _say(about)
        if directory is not None:
            click.echo(f'the store is kept in {directory}: try door43fast passage "{ASKED[0]}" --store {directory}')
