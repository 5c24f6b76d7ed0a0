"""Files of AsyncStorage as an app writes and reads them, by other means than door43fast's."""

import hashlib
import json
import sqlite3

IDENTITY = "33b0559bdc8fe1befd1a1927fc3f3caa"
NEXT_IDENTITY = "c0ffee00c0ffee00c0ffee00c0ffee00"


class Sql:
    """One of the forms in SQLite. ``script`` is what the app runs when it makes its file."""

    def __init__(self, name, table, version, script, nulls=False):
        self.name, self.table, self.version, self.script, self.nulls = name, table, version, script, nulls

    def write(self, path, entries, wal=False):
        connection = sqlite3.connect(path)
        if wal:
            connection.execute("PRAGMA journal_mode=WAL")
        connection.executescript(self.script)
        connection.execute(f"PRAGMA user_version={self.version}")
        for key, value in entries.items():
            connection.execute(f"INSERT INTO {self.table} VALUES (?, ?)", (key, value))
        connection.commit()
        return connection

    def read(self, path):
        connection = sqlite3.connect(path)
        try:
            return dict(connection.execute(f"SELECT key, value FROM {self.table}"))
        finally:
            connection.close()

    def schema(self, path):
        """All of the file that is not an entry."""
        connection = sqlite3.connect(path)
        try:
            tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
            return (connection.execute("PRAGMA user_version").fetchone(),
                    connection.execute("PRAGMA journal_mode").fetchone(),
                    sorted(connection.execute("SELECT name, sql FROM sqlite_schema").fetchall(), key=str),
                    {name: connection.execute(f"SELECT * FROM {name}").fetchall() for name in tables
                     if name != self.table})
        finally:
            connection.close()


ANDROID = Sql("android", "catalystLocalStorage", 1, """
CREATE TABLE android_metadata (locale TEXT);
INSERT INTO android_metadata VALUES ('en_US');
CREATE TABLE catalystLocalStorage (key TEXT PRIMARY KEY, value TEXT NOT NULL);
INSERT INTO catalystLocalStorage VALUES (NULL, 'a stray one');
""")
NEXT = Sql("next", "Storage", 2, f"""
CREATE TABLE android_metadata (locale TEXT);
CREATE TABLE catalystLocalStorage (key TEXT PRIMARY KEY, value TEXT NOT NULL);
INSERT INTO catalystLocalStorage VALUES ('left', 'by the migration');
CREATE TABLE IF NOT EXISTS `Storage` (`key` TEXT NOT NULL, `value` TEXT, PRIMARY KEY(`key`));
CREATE TABLE room_master_table (id INTEGER PRIMARY KEY,identity_hash TEXT);
INSERT INTO room_master_table VALUES (42, '{NEXT_IDENTITY}');
""", nulls=True)
SHARED = Sql("shared", "entries", 1, f"""
CREATE TABLE IF NOT EXISTS `entries` (`key` TEXT NOT NULL, `value` TEXT, PRIMARY KEY(`key`));
CREATE TABLE IF NOT EXISTS room_master_table (id INTEGER PRIMARY KEY,identity_hash TEXT);
INSERT INTO room_master_table VALUES (42, '{IDENTITY}');
""", nulls=True)
WINDOWS = Sql("windows", "AsyncLocalStorage", 1, """
CREATE TABLE IF NOT EXISTS AsyncLocalStorage(key TEXT PRIMARY KEY, value TEXT NOT NULL);
""")


class Apple:
    """A folder with a manifest."""

    name, nulls = "apple", False

    @staticmethod
    def units(text):
        return len(text.encode("utf-16-le")) // 2

    @staticmethod
    def file(folder, key):
        return folder / hashlib.md5(key.encode()).hexdigest()

    def write(self, folder, entries):
        folder.mkdir(parents=True)
        manifest = {}
        for key, value in entries.items():
            if self.units(value) > 1024:
                self.file(folder, key).write_text(value, encoding="utf-8")
                manifest[key] = None
            else:
                manifest[key] = value
        (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")

    def read(self, folder):
        """What the app finds, and that everything lies where the app itself would have put it."""
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        found, files = {}, {"manifest.json"}
        for key, value in manifest.items():
            assert value is None or self.units(value) <= 1024
            if value is not None:
                found[key] = value
            elif self.file(folder, key).exists():
                found[key] = self.file(folder, key).read_text(encoding="utf-8")
                files.add(self.file(folder, key).name)
                assert self.units(found[key]) > 1024
        return found, {path.name for path in folder.iterdir()} - files


APPLE = Apple()
FORMS = {form.name: form for form in (ANDROID, NEXT, SHARED, WINDOWS)}
ENTRIES = {"@user": '{"name":"Titus","tags":["a","b"]}', "token": "plain text", "empty": "",
           "ключ": "наро́д \U0001f4d6",
           "long": "x" * 1024, "longer": "x" * 1025, "pairs": "\U0001f4d6" * 513, "lines": "a\n\t\n", "number": "5"}
