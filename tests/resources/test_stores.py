"""Any store will do: memory, LMDB, memory over LMDB, the reference; the records are the same in all of them."""

import pytest

import door43fast
from door43fast.reference import MemoryStore as ReferenceStore
from door43fast.resources import export_resources, import_resources, keys, passage

from .conftest import SAMPLE, truth

STORES = {
    "memory": lambda path: door43fast.MemoryStore(),
    "lmdb": lambda path: door43fast.LmdbStore(path, durability="none"),
    "memory over lmdb": lambda path: door43fast.open(path),
    "a small memory over lmdb": lambda path: door43fast.open(path, memory="64KB"),
    "reference": lambda path: ReferenceStore(),
}


@pytest.mark.parametrize("kind", STORES)
def test_import_replace_ask_and_export(kind, tmp_path):
    with STORES[kind](tmp_path / "store") as store, door43fast.MemoryStore() as judge:
        import_resources(judge, [SAMPLE])
        for _ in range(2):
            import_resources(store, [SAMPLE])
            found = {key: value for key, value in store.scan() if not key.startswith(keys.REPOSITORIES)}
            assert found == {key: value for key, value in judge.scan() if not key.startswith(keys.REPOSITORIES)}
        for text in ("TIT 1:4", "TIT 1", "JON", "TIT 1:3-2:2"):
            assert passage(store, text) == passage(judge, text)
        export_resources(store, tmp_path / "out")
        for folder in SAMPLE.iterdir():
            (back,) = (tmp_path / "out" / "door43fast").glob(f"{folder.name}@*")
            assert truth(back) == truth(folder)


@pytest.mark.parametrize("kind", ["lmdb", "memory over lmdb"])
def test_what_was_imported_is_there_when_the_store_is_opened_again(kind, tmp_path):
    with STORES[kind](tmp_path / "store") as store:
        import_resources(store, [SAMPLE])
        before = passage(store, "TIT")
    with STORES[kind](tmp_path / "store") as store:
        assert passage(store, "TIT") == before
        assert store.verify()["errors"] == []
