"""``door43fast strategies``."""

from __future__ import annotations

import inspect

import click

from door43fast import config
from door43fast.cli import options, output
from door43fast.cli.backends import show
from door43fast.plans import STRATEGIES, GuardOptions, strategy

GUARD = "guard"     # no strategy, but options that any plan may have


@click.command("strategies")
@click.argument("name", required=False)
@click.option("--schema", is_flag=True, help="Print the plan of NAME as JSON Schema.")
@options.as_json
def command(name: str | None, schema: bool, as_json: bool) -> None:
    """List the strategies of plans with layers; with NAME, or "guard", the options of that one."""
    if name is None:
        if schema:
            raise click.UsageError("--schema needs the NAME of a strategy")
        known = [{"name": one, "layers": chosen.order, "about": inspect.getdoc(chosen.Options)}
                 for one, chosen in STRATEGIES.items()]
        if as_json:
            output.emit(known)
            return
        output.table("strategies", ("name", "layers", ""), [tuple(one.values()) for one in known])
        return
    chosen = GuardOptions if name == GUARD else strategy(name, "NAME").Options
    if schema:
        output.emit(config.json_schema(chosen) if name == GUARD else strategy(name).json_schema(name))
        return
    show(name, chosen, as_json)
