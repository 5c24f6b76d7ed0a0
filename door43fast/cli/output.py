"""What is printed: JSON for programs, tables and a progress bar for people."""

from __future__ import annotations

import base64
import sys
from collections.abc import Callable, Iterable
from typing import Any

import click
import msgspec

WIDTH = 120


def emit(value: Any) -> None:
    """Print a value as JSON, readable and ending with a line break."""
    try:
        encoded = msgspec.json.encode(value, enc_hook=_plain)
    except TypeError:       # keys that JSON does not have, such as tuples
        encoded = msgspec.json.encode(_with_texts(value), enc_hook=_plain)
    click.echo(msgspec.json.format(encoded, indent=2))


def _plain(value: Any) -> Any:
    """What stands for a value that JSON does not have: a list for an array, else its text."""
    return value.tolist() if hasattr(value, "dtype") and value.dtype.kind in "biufUS" else str(value)


def _with_texts(value: Any) -> Any:
    """The same with the keys of dicts as texts."""
    if isinstance(value, dict):
        return {key if isinstance(key, (str, int)) else str(key): _with_texts(one) for key, one in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_with_texts(one) for one in value]
    return value


def text_or_base64(value: Any) -> dict[str, Any]:
    """A value for JSON: bytes as text where they are UTF-8, else in base 64, and which of them it is."""
    if not isinstance(value, bytes):
        return {"type": type(value).__name__, "value": value}
    try:
        return {"type": "bytes", "value": value.decode("utf-8")}
    except UnicodeDecodeError:
        return {"type": "bytes", "base64": base64.b64encode(value).decode("ascii")}


def table(title: str, columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> None:
    """Print a table, as wide as it needs where the output is no terminal; columns of figures to the right."""
    from rich.console import Console
    from rich.table import Table

    drawn = Table(title=title, title_justify="left", title_style="bold")
    cells = [[str(cell) for cell in row] for row in rows]
    for number, column in enumerate(columns):
        figures = number > 0 and all(row[number][:1].isdigit() or row[number] in ("", "-") for row in cells)
        drawn.add_column(column, justify="right" if figures else "left", overflow="fold")
    for row in cells:
        drawn.add_row(*row)
    Console(width=None if sys.stdout.isatty() else WIDTH, highlight=False, markup=False).print(drawn)


def size(count: float) -> str:
    """Bytes for people: ``87.3 MB``."""
    if count < 1000:
        return f"{count:.0f} B"
    for unit in ("kB", "MB"):
        count /= 1000
        if count < 1000:
            return f"{count:.1f} {unit}"
    return f"{count / 1000:.1f} GB"


class Progress:
    """A bar on standard error while files are read or written; silent where that is no terminal. ``bytes`` says that
    what is counted is bytes; else it is shown as a share alone."""

    def __init__(self, verb: str, quiet: bool, bytes: bool = True) -> None:
        self._verb = verb
        self._bytes = bytes
        self._bar: Any = None
        self._task: Any = None
        self._quiet = quiet or not sys.stderr.isatty()

    def __enter__(self) -> Callable[[int, int, str], None] | None:
        if self._quiet:
            return None
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar
        from rich.progress import TransferSpeedColumn

        measures = (DownloadColumn(), TransferSpeedColumn()) if self._bytes else (TaskProgressColumn(),)

        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            *measures,
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self._bar.start()
        self._task = self._bar.add_task(self._verb, total=None)
        return self._advance

    def _advance(self, done: int, total: int, name: str) -> None:
        self._bar.update(self._task, completed=done, total=total, description=f"{self._verb} {name}")

    def __exit__(self, *raised: object) -> None:
        if self._bar is not None:
            self._bar.stop()
