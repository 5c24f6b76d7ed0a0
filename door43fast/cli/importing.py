"""``door43fast import``."""

from __future__ import annotations

import time

import click
import msgspec

from door43fast.cli import options, output


@click.command("import")
@click.argument("sources", nargs=-1, required=True, type=click.Path(), metavar="SOURCE...")
@options.into
@click.option("--as", "name", metavar="OWNER/REPOSITORY@VERSION", help="Call the one container of the sources so.")
@click.option("--max-bytes", type=click.IntRange(min=0), default=None, help="The most that a source may expand to.")
@click.option("--skip-links", is_flag=True, help="Leave links out instead of refusing a source that has them.")
@options.as_json
def command(
    sources: tuple[str, ...], store: str, name: str | None, max_bytes: int | None, skip_links: bool, as_json: bool
) -> None:
    """Bring resource containers into a store: one record a verse, a TSV row, an article or other file.

    SOURCE is a folder, a .zip, a .tar.gz or a .tar.xz, with one or more containers. A repository that is there already
    in the same version is replaced; another version stands beside it.
    """
    from door43fast.resources.importing import import_containers, open_sources
    from door43fast.resources.sources import MOST_BYTES

    started = time.perf_counter()
    # Before the store, so that a source that is refused does not leave an empty one.
    containers = open_sources(
        sources, name=name, skip_links=skip_links, max_bytes=MOST_BYTES if max_bytes is None else max_bytes
    )
    with options.write(store) as opened, output.Progress("import", as_json) as progress:
        reports = import_containers(opened, containers, progress)
        opened.flush()
    seconds = time.perf_counter() - started
    total = sum(report.repository.bytes for report in reports)
    if as_json:
        output.emit(
            {
                "store": store,
                "seconds": seconds,
                "bytes": total,
                "bytes_per_second": total / seconds,
                "repositories": [msgspec.to_builtins(report) for report in reports],
            }
        )
        return
    for report in reports:
        held = report.repository
        change = f", replaced: {report.written:,} written, {report.deleted:,} deleted" if report.replaced else ""
        click.echo(f"{held.name}: {held.files:,} files, {held.records:,} records, {output.size(held.bytes)}{change}")
    click.echo(f"{output.size(total)} in {seconds:.2f} s ({total / seconds / 1e6:.0f} MB/s) into {store}")
