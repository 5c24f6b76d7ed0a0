"""``door43fast stats``."""

from __future__ import annotations

import os

import click
import msgspec

from door43fast.cli import options, output


def _disk(directory: str) -> int:
    return sum(entry.stat().st_blocks * 512 for entry in os.scandir(directory) if entry.is_file())


@click.command("stats")
@options.store
@options.as_json
def command(store: str, as_json: bool) -> None:
    """Say what is in a store: its records, its size on disk, and the repositories imported into it."""
    from door43fast.resources import repositories

    with options.care(store) as opened:
        held = repositories(opened) if opened.plan["keys"] == "str" else []
        counts = opened.stats()
    disk = _disk(store)
    if as_json:
        output.emit(
            {
                "store": store,
                "disk_bytes": disk,
                "counts": counts,
                "repositories": [msgspec.to_builtins(one) for one in held],
            }
        )
        return
    output.table(store, ("", ""), [("entries", f"{counts['entries']:,}"), ("on disk", output.size(disk))])
    if held:
        output.table(
            "repositories",
            ("name", "files", "records", "size", "title"),
            [(one.name, f"{one.files:,}", f"{one.records:,}", output.size(one.bytes), one.title) for one in held],
        )
