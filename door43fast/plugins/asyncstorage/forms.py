"""The forms in which React Native's AsyncStorage leaves its files, and how each is known again.

Four are SQLite files with one table from key to value; Apple's is a folder with a manifest. What an app will open
without a migration is the schema text as the app itself writes it, its user_version and, of the forms that Room made,
the row with the identity of its schema: so these stand here letter by letter, and what is found in a file stays.
"""

from __future__ import annotations

import os
import sqlite3
from typing import NamedTuple

from door43fast.errors import ConfigError, FormatError

MIB = 1 << 20
MANIFEST = "manifest.json"


class Form(NamedTuple):
    """One form in SQLite. ``makes`` is empty where a file cannot be made by anybody but the app."""

    name: str
    files: tuple[str, ...]      # what the app calls it
    table: str
    nulls: bool                 # whether a value may be NULL
    version: int
    makes: tuple[str, ...] = ()
    max_value: int | None = None
    max_bytes: int | None = None


FORMS = {form.name: form for form in (
    # First those that are a copy of an older one, whose table stays in the file.
    Form("next", ("AsyncStorage",), "Storage", True, 2, max_value=2 * MIB),
    Form("shared", (), "entries", True, 1, (
        "CREATE TABLE `entries` (`key` TEXT NOT NULL, `value` TEXT, PRIMARY KEY(`key`))",
        "CREATE TABLE room_master_table (id INTEGER PRIMARY KEY,identity_hash TEXT)",
        "INSERT INTO room_master_table (id,identity_hash) VALUES(42, '33b0559bdc8fe1befd1a1927fc3f3caa')")),
    Form("android", ("RKStorage",), "catalystLocalStorage", False, 1, (
        "CREATE TABLE catalystLocalStorage (key TEXT PRIMARY KEY, value TEXT NOT NULL)",), 2 * MIB, 6 * MIB),
    Form("windows", ("AsyncStorage.db",), "AsyncLocalStorage", False, 1, (
        "CREATE TABLE AsyncLocalStorage(key TEXT PRIMARY KEY, value TEXT NOT NULL)",)),
)}
APPLE = "apple"
FOLDERS = ("RCTAsyncLocalStorage_V1", "RCTAsyncLocalStorage")
NAMES = (*FORMS, APPLE)


def find(path: str, wanted: str | None) -> tuple[str, str | None]:
    """The place of a storage, which may lie in the folder ``path``, and its form; None where nothing is there yet.

    Raises
    ------
    ConfigError
        If nobody can tell which form is meant.
    """
    if os.path.isdir(path) and not os.path.exists(os.path.join(path, MANIFEST)):
        known = [*(name for form in FORMS.values() for name in form.files), *FOLDERS,
                 os.path.basename(path) + ".sqlite"]
        inside = [name for name in known if os.path.exists(os.path.join(path, name))]
        if len(inside) > 1:
            raise ConfigError(f"{path!r} holds {' and '.join(map(repr, inside))}: name the one that you mean, which is "
                              "as a rule the one that was changed last")
        if inside:
            path = os.path.join(path, inside[0])
    if os.path.isdir(path):
        if os.path.exists(os.path.join(path, MANIFEST)):
            return path, APPLE
        if os.listdir(path) or wanted not in (None, APPLE):
            raise FormatError(f"{path!r} is a folder without a {MANIFEST} and without a file of AsyncStorage: it was "
                              "left as it is; name the file or folder that the app uses")
        return path, None
    if os.path.exists(path) and os.path.getsize(path):
        return path, ""         # a file: which form it has is read from it
    return path, None


def by_name(path: str) -> str:
    """The form that a new storage has by its name."""
    name = os.path.basename(path)
    if name in FOLDERS:
        return APPLE
    for form in FORMS.values():
        if name in form.files:
            return form.name
    if name.endswith(".sqlite"):
        return "shared"
    raise ConfigError(f"{path!r} is not there, and its name does not say which form of AsyncStorage to make: give form="
                      f" one of {', '.join(map(repr, NAMES))}")


def of_file(connection: sqlite3.Connection, path: str) -> Form:
    """The form of a SQLite file. REQUIRES: the connection gives texts as bytes.

    Raises
    ------
    FormatError
        If it is none of those that are known.
    """
    tables = {name.decode() for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    for form in FORMS.values():
        if form.table in tables:
            columns = [row[1].decode() for row in connection.execute(f"PRAGMA table_info({form.table})")]
            if columns != ["key", "value"] or version != form.version:
                break
            return form
    raise FormatError(f"{path!r} is no storage of AsyncStorage that this version of door43fast knows (user_version "
                      f"{version}, tables {', '.join(sorted(tables)) or 'none'}): it was left untouched")
