"""``door43fast passage``."""

from __future__ import annotations

import time

import click

from door43fast.cli import options, output
from door43fast.cli.program import NotFound
from door43fast.resources.layout import KINDS


@click.command("passage")
@click.argument("reference", nargs=-1, required=True)
@click.option("--kind", "-k", "kinds", multiple=True, type=click.Choice(KINDS), help="Only these; may be given again.")
@click.option("--repository", "-r", default="", metavar="NAME", help="Only repositories whose names begin so.")
@click.option("--keys", "only_keys", is_flag=True, help="Print the keys alone.")
@options.store
@options.as_json
def command(
    reference: tuple[str, ...], kinds: tuple[str, ...], repository: str, only_keys: bool, store: str, as_json: bool
) -> None:
    """Print everything that covers a passage: texts, notes, questions and links, in canonical order.

    REFERENCE is a book by code or English name and a place: "TIT 1:1", "titus 1:1-3", "PSA 42:3,10", "TIT 1:15-2:3",
    "TIT 1" (with its introduction), "TIT".
    """
    from door43fast.resources import passage

    text = " ".join(reference)
    with options.read(store) as opened:
        started = time.perf_counter()
        found = passage(opened, text, kinds=kinds or None, repositories=repository)
        seconds = time.perf_counter() - started
    if not found:
        raise NotFound(f"nothing in {store} covers {text}; door43fast stats lists what is imported")
    if as_json:
        output.emit(
            {
                "passage": text,
                "seconds": seconds,
                "records": [
                    {
                        "key": one.key,
                        "repository": one.repository,
                        "kind": one.kind,
                        "place": one.place,
                        "path": one.path,
                        **({} if only_keys else output.text_or_base64(one.value)),
                    }
                    for one in found
                ],
            }
        )
    elif only_keys:
        click.echo("\n".join(one.key for one in found))
    else:
        for one in found:
            click.secho(f"[{one.kind}] {one.key}", bold=True)
            click.echo(one.value.rstrip(b"\r\n"))
            click.echo()
