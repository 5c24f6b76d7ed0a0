"""No backend declares less than docs/capabilities.md says."""

from pathlib import Path

import pytest

import door43fast as d43
from door43fast import reference
from door43fast.testing.conformance import capability_table, missing_capabilities

PAGE = Path(__file__).parents[2] / "docs" / "capabilities.md"


@pytest.fixture
def backends(tmp_path, redis, redis_cluster):
    stores = {"MemoryStore": d43.MemoryStore(), "LmdbStore": d43.LmdbStore(tmp_path / "lmdb"),
              "open(path)": d43.open(tmp_path / "cascade"),
              "cascade of memories": d43.cascade(d43.MemoryStore(), d43.MemoryStore()),
              "reference.MemoryStore": reference.MemoryStore(),
              "SqliteStore": d43.open(f"sqlite:///{tmp_path}/sqlite.db"),
              "FilesystemStore": d43.open(f"file:///{tmp_path}/files"),
              "memory over SqliteStore": d43.open(f"sqlite:///{tmp_path}/tier.db", memory="1MB"),
              "namespace of LmdbStore": d43.namespace(d43.LmdbStore(tmp_path / "spaces"), "n"),
              "AsyncStorageStore": d43.open(f"asyncstorage:///{tmp_path}/RKStorage"),
              "AsyncStorageStore, Apple": d43.open(f"asyncstorage:///{tmp_path}/RCTAsyncLocalStorage_V1"),
              "HttpStore": d43.open("http://127.0.0.1:9/folder"),      # where nobody is: what it can do is known
              "RedisStore": d43.open(redis.url), "RedisStore, cluster": d43.open(redis_cluster.url)}
    yield {name: store.capabilities for name, store in stores.items()}
    for store in stores.values():
        store.close()


def test_the_page_is_true(backends, capsys):
    with capsys.disabled():
        print("\n" + capability_table(backends))
    assert missing_capabilities(PAGE.read_text(), backends) == []
    for name in backends:
        assert f"| {name} |" in PAGE.read_text(), f"docs/capabilities.md has no column for {name}"


def test_a_backend_that_declares_less_is_found(backends):
    less = {**backends, "LmdbStore": backends["LmdbStore"]._replace(tags=False)}
    assert missing_capabilities(PAGE.read_text(), less) == ["LmdbStore declares tags=False"]
