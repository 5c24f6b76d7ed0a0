"""``door43fast get``."""

from __future__ import annotations

from typing import Any

import click

from door43fast.cli import nearest, options, output
from door43fast.cli.program import NotFound


def _print(value: Any) -> None:
    if isinstance(value, (bytes, str)):
        click.echo(value, nl=False)
    else:
        output.emit(value)


@click.command("get")
@click.argument("keys", nargs=-1, required=True, metavar="KEY...")
@options.store
@options.as_json
def command(keys: tuple[str, ...], store: str, as_json: bool) -> None:
    """Print the values of keys: bytes and text exactly as they are, other values as JSON."""
    missing = object()
    with options.care(store) as opened:
        values = opened.get_many([options.key_of(opened, key) for key in keys], missing)
        for key, value in zip(keys, values, strict=True):
            if value is missing:
                raise NotFound(nearest.sentence(opened, key, "key"))
    if as_json:
        output.emit([{"key": key, **output.text_or_base64(value)} for key, value in zip(keys, values, strict=True)])
    else:
        for value in values:
            _print(value)
