"""``door43fast backends``."""

from __future__ import annotations

import click
import msgspec

from door43fast import config
from door43fast.cli import options, output
from door43fast.plugins import registry


@click.command("backends")
@click.argument("name", required=False)
@click.option("--schema", is_flag=True, help="Print the options of NAME as JSON Schema.")
@options.as_json
def command(name: str | None, schema: bool, as_json: bool) -> None:
    """List the backends that a store can be opened with; with NAME, the options of that one."""
    if name is None:
        if schema:
            raise click.UsageError("--schema needs the NAME of a backend")
        known = [registry.about(one) for one in registry.names()]
        if as_json:
            output.emit([one._asdict() for one in known])
            return
        output.table("backends", ("name", "from", ""), [
            (one.name, one.source, "" if one.available else f"{one.reason}; {one.remedy}") for one in known])
        return
    chosen = registry.get(name).Options
    if schema:
        output.emit(config.json_schema(chosen))
        return
    show(name, chosen, as_json)


def show(name: str, chosen: type[config.Options], as_json: bool) -> None:
    """The options of a schema, as a table or as JSON."""
    fields = config.fields(chosen).values()
    if as_json:
        output.emit([{"name": field.name, "allowed": field.allowed, "required": field.required,
                      "default": None if field.required else msgspec.to_builtins(field.default),
                      "description": field.description} for field in fields])
        return
    output.table(f"options of {name}", ("option", "may be", "default", ""), [
        (field.name, field.allowed, "needed" if field.required else repr(field.default), field.description)
        for field in fields])
