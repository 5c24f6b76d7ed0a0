"""What the commands share: the store that they work on, and ``--json``."""

from __future__ import annotations

import ast
import os
from typing import Any

import click

from door43fast.errors import ConfigError, Error

DEFAULT_STORE = "door43-store"
VARIABLE = "DOOR43FAST_STORE"


class NoStoreError(Error):
    """The directory named holds no store."""


store = click.option(
    "--store",
    "-s",
    "store",
    envvar=VARIABLE,
    default=DEFAULT_STORE,
    show_default=True,
    metavar="DIR",
    help=f"The directory of the store; also by the environment variable {VARIABLE}.",
)
into = click.option(
    "--into",
    "--store",
    "-s",
    "store",
    envvar=VARIABLE,
    default=DEFAULT_STORE,
    show_default=True,
    metavar="DIR",
    help=f"The directory of the store, made where it is missing; also by the environment variable {VARIABLE}.",
)
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON on standard output, for programs.")


def read(directory: str) -> Any:
    """Open a store of resources to read from it; a directory that holds none is not made into one."""
    from door43fast.lmdb import LmdbStore

    exists(directory)
    return LmdbStore(directory, readonly=True)


def exists(directory: str) -> None:
    """Refuse what holds no store that the command line can open."""
    if os.path.exists(directory) and not os.path.isdir(directory):
        raise NoStoreError(f"{directory} is a file; the command line works on a store in a directory, as LmdbStore and "
                           "open(path) make them: name one with --store DIR")
    if not os.path.isfile(os.path.join(directory, "data.mdb")):
        raise NoStoreError(
            f"there is no store at {directory}; name one with --store DIR, or fill one with "
            "door43fast import SOURCE --into DIR"
        )


def care(directory: str, readonly: bool = True) -> Any:
    """Open a store whatever the type of its keys."""
    from door43fast.lmdb import LmdbStore
    from door43fast.native.upkeep import keys_of

    exists(directory)
    keys = keys_of(directory)
    # Whoever has the store open says how it is synced, and the command line has no option to say the same.
    for durability in ("commit", "batch"):
        try:
            return LmdbStore(directory, keys=keys, readonly=readonly, create=False, durability=durability)
        except ConfigError as error:
            if "with durability=" not in str(error):
                raise
    return LmdbStore(directory, keys=keys, readonly=readonly, create=False, durability="none")


def write(directory: str) -> Any:
    """Open a store to import into; what was not synced is, when it is closed."""
    from door43fast.lmdb import LmdbStore

    return LmdbStore(directory, durability="batch")


def key_of(store: Any, text: str) -> Any:
    """The key that a word of the command line names: a number where keys are such; where they may be of any type, what
    Python would read there, such as ('a', 1), else the text."""
    kind = store.plan["keys"]
    if kind == "bytes":
        return os.fsencode(text)
    if kind == "int":
        try:
            return int(text)
        except ValueError:
            raise click.UsageError(f"{text!r} is no whole number, and the keys of this store are") from None
    if kind == "any":
        try:
            return ast.literal_eval(text)
        except (ValueError, SyntaxError):
            return text
    return text
