"""``door43fast top``: a store that other processes have open, watched from outside.

What LMDB itself tells is read through a store of our own, opened to read only: entries, bytes, transactions, readers,
the journal. Hits and misses are in the memory of each process; they are shown of those that publish them.
"""

from __future__ import annotations

import os
import time
from typing import Any

import click

from door43fast.cli import options, output
from door43fast.metrics.publishing import published


def look(store: Any, directory: str) -> dict[str, Any]:
    """The figures of now; ``rates`` come of two of these."""
    stats = store.stats()
    file = os.stat(os.path.join(directory, "data.mdb"))
    journal = stats["journal"]
    return {
        "time": time.time(),
        "entries": stats["entries"],
        "bytes": stats["bytes"],
        "file_bytes": file.st_size,
        "disk_bytes": file.st_blocks * 512,
        "transactions": stats["transactions"],
        "journal": None if journal is None else journal["last"],
        "readers": [one._asdict() for one in store.readers() if one.pid != os.getpid()],
        "processes": published(directory),
    }


def rates(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """What happened between two looks, a second."""
    seconds = max(after["time"] - before["time"], 1e-9)
    found: dict[str, Any] = {"transactions": (after["transactions"] - before["transactions"]) / seconds,
                             "journal": None if after["journal"] is None or before["journal"] is None else
                             (after["journal"] - before["journal"]) / seconds}
    found["processes"] = {}
    was = {(one["pid"], one["since"]): one for one in before["processes"]}
    for one in after["processes"]:
        then = was.get((one["pid"], one["since"]))
        if then is not None and one["time"] > then["time"]:
            counters, old = one["metrics"]["total"]["counters"], then["metrics"]["total"]["counters"]
            found["processes"][str(one["pid"])] = {
                name: (counters[name] - old[name]) / (one["time"] - then["time"]) for name in counters}
    return found


def _rate(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}/s"


def _drawn(directory: str, now: dict[str, Any], speed: dict[str, Any]) -> Any:
    from rich.console import Group
    from rich.table import Table

    figures = Table(title=f"{directory}, {time.strftime('%H:%M:%S', time.localtime(now['time']))}",
                    title_justify="left", show_header=False, box=None)
    for name, value in (
            ("entries", f"{now['entries']:,}"), ("in use", output.size(now["bytes"])),
            ("file", f"{output.size(now['file_bytes'])} ({output.size(now['disk_bytes'])} on disk)"),
            ("transactions", f"{now['transactions']:,}, {_rate(speed['transactions'])}"),
            ("journal", "none" if now["journal"] is None else f"{now['journal']:,}, {_rate(speed['journal'])}")):
        figures.add_row(name, value)
    readers = Table(title="readers", title_justify="left")
    for column in ("process", "thread", "behind", "alive"):
        readers.add_column(column, justify="right")
    for one in now["readers"]:
        readers.add_row(str(one["pid"]), f"{one['thread']:x}", "-" if one["lag"] is None else str(one["lag"]),
                        "yes" if one["alive"] else "no")
    told = Table(title="processes that publish their metrics", title_justify="left")
    for column in ("process", "hits", "misses", "sets", "get p50", "get p99"):
        told.add_column(column, justify="right")
    for one in now["processes"]:
        total = one["metrics"]["total"]
        speeds = speed["processes"].get(str(one["pid"]), {})
        get = total["latency"].get("get")
        told.add_row(str(one["pid"]), *(
            f"{total['counters'][name]:,} ({_rate(speeds.get(name))})" for name in ("hits", "misses", "sets")),
            *("-" if get is None else f"{get[name] * 1e6:.2f} us" for name in ("p50", "p99")))
    return Group(figures, *([readers] if now["readers"] else []),
                 told if now["processes"] else "nobody publishes metrics: open(..., publish_metrics=\"1s\") does")


@click.command("top")
@click.argument("directory", required=False, type=click.Path(), metavar="[DIR]")
@click.option("--interval", type=click.FloatRange(0.1, 60), default=1.0, show_default=True, metavar="SECONDS",
              help="Between two looks, which the rates are of.")
@click.option("--once", is_flag=True, help="Look twice, print, and end; --json does so in any case.")
@options.store
@options.as_json
def command(directory: str | None, interval: float, once: bool, store: str, as_json: bool) -> None:
    """Watch a store that other processes have open; Ctrl-C ends it. DIR is the store, in place of --store."""
    place = directory or store
    with options.care(place) as opened:
        before = look(opened, place)
        time.sleep(interval)
        now = look(opened, place)
        if as_json:
            output.emit({"store": place, **now, "rates": rates(before, now)})
            return
        if once:
            from rich.console import Console
            Console(width=None if os.isatty(1) else output.WIDTH, highlight=False).print(
                _drawn(place, now, rates(before, now)))
            return
        from rich.live import Live
        try:
            with Live(_drawn(place, now, rates(before, now)), screen=False, auto_refresh=False) as live:
                while True:
                    time.sleep(interval)
                    before, now = now, look(opened, place)
                    live.update(_drawn(place, now, rates(before, now)), refresh=True)
        except KeyboardInterrupt:
            return      # which is how it ends
