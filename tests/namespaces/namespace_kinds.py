"""Stores to put namespaces into: one of each kind that has a place for them."""

import door43fast as d43

KINDS = ("memory", "lmdb", "bytes", "sqlite", "cascade", "journal", "files", "asyncstorage")


def opened(kind, folder):
    return {
        "memory": lambda: d43.MemoryStore(),
        "lmdb": lambda: d43.LmdbStore(folder / "lmdb", durability="none"),
        "bytes": lambda: d43.LmdbStore(folder / "bytes", durability="none", keys="bytes"),
        "journal": lambda: d43.LmdbStore(folder / "journal", durability="none", journal=True),
        "cascade": lambda: d43.open(folder / "cascade", durability="none"),
        "sqlite": lambda: d43.open(f"sqlite:///{folder}/s.db", durability="none"),
        "asyncstorage": lambda: d43.open(f"asyncstorage:///{folder}/a.sqlite"),
        "files": lambda: d43.open(f"file:///{folder}/files", durability="none"),
    }[kind]()
