"""``door43fast profiles``."""

from __future__ import annotations

import click

from door43fast.cli import options, output
from door43fast.host import detect
from door43fast.profiles import OURS, get
from door43fast.profiles.profile import as_dict


@click.command("profiles")
@click.argument("name", required=False)
@click.option("--path", metavar="DIR", help="Where the store will be; with it the machine is looked at.")
@options.as_json
def command(name: str | None, path: str | None, as_json: bool) -> None:
    """List the profiles; with NAME, one of them or the file of one, explain each of its settings."""
    host = None if path is None else detect(path)
    if name is None:
        if as_json:
            output.emit([as_dict(profile, path, host) for profile in OURS.values()])
            return
        output.table("profiles", ("name", ""), [(one.name, one.description) for one in OURS.values()])
        return
    profile = get(name)
    if as_json:
        output.emit(as_dict(profile, path, host))
        return
    click.echo(f"{profile.name}: {profile.description}")
    if profile.use is not None:
        click.echo(", ".join(f"{what} {value}" for what, value in profile.use._asdict().items()))
    output.table("settings", ("setting", "value", "from", "why"), [
        (one.path, repr(one.value), one.source, one.why) for one in profile.explain(host=host)])
