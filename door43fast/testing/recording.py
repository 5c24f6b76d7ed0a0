"""Conformance: what ``record_trace`` puts into its file is what the store was asked for."""

from __future__ import annotations

from typing import Any

import pytest

from door43fast import recordings
from door43fast.errors import ClosedError, ConfigError
from door43fast.testing.basis import Basis, needs


@needs("writes", "traces")
class RecordingTests(Basis):
    def recorded(self, name: str) -> Any:
        path = self.folder / name
        return recordings.decoded(path.read_bytes(), str(path))

    def names(self, keys: list[Any]) -> list[int]:
        return [hash(key) & recordings.WORD for key in keys]

    @needs("compute", "listing")
    def test_each_read_is_recorded_once_and_nothing_else(self, store: Any) -> None:
        store["before"] = 1
        store.get("before")
        with store.record_trace(self.folder / "t") as recording:
            assert recording.active and recording.sample == 1.0
            store.set("a", 1)
            store["b"] = 2
            store.get("a"), store.get("missing"), store["b"], store.get_many(["a", "b", "missing", "a"])  # noqa: B018
            with pytest.raises(KeyError):
                store["missing"]
            store.get_or_compute("c", lambda: 3)
            store.get_or_compute("c", lambda: 4)
            "a" in store, store.contains_many(["a"]), list(store.items()), store.ttl("a"), len(store)  # noqa: B018
            store.add("a", 5), store.delete("b"), store.set_many({"d": 1})
        assert not recording.active
        store.get("after")
        got = self.recorded("t")
        wanted = ["a", "missing", "b", "a", "b", "missing", "a", "missing", "c", "c"]
        # A computation looks once more before it begins, as its hits and misses say.
        assert [name for i, name in enumerate(got.hashes.tolist()) if not i or name != self.names(["c"])[0]] == [
            name for name in self.names(wanted) if name != self.names(["c"])[0]]
        assert got.whole and got.sample == 1.0 and got.asked == len(got.hashes) == recording.recorded >= len(wanted)

    def test_recordings_of_one_store_come_one_after_another(self, store: Any) -> None:
        first = store.record_trace(self.folder / "first")
        with pytest.raises(ConfigError, match="first"):
            store.record_trace(self.folder / "second")
        store.get("a")
        first.stop()
        first.stop()
        with store.record_trace(self.folder / "second"):
            store.get("b")
        with store.record_trace(self.folder / "first"):      # an earlier recording is written over
            store.get_many(["c"])
        assert self.recorded("first").hashes.tolist() == self.names(["c"])
        assert self.recorded("second").hashes.tolist() == self.names(["b"])
        for sample in (0, -1, 1.5, "all", None, True):
            with pytest.raises(ConfigError, match="sample"):
                store.record_trace(self.folder / "third", sample=sample)
        assert not (self.folder / "third").exists()

    def test_a_sample_holds_all_reads_of_some_keys(self, store: Any) -> None:
        keys = [f"key{i}" for i in range(2000)]
        with store.record_trace(self.folder / "t", sample=0.1):
            store.get_many(keys)
            for key in keys:
                store.get(key)
        got = self.recorded("t")
        half = len(got.hashes) // 2
        assert 100 < half < 300 and got.hashes[:half].tolist() == got.hashes[half:].tolist()
        assert got.asked == 4000 and got.sample == 0.1
        assert max(map(recordings.spread, got.hashes.tolist())) <= recordings.limit(0.1)
        assert set(got.hashes.tolist()) <= set(self.names(keys))

    def test_closing_the_store_ends_its_recording(self) -> None:
        with self.make_store() as store:
            recording = store.record_trace(self.folder / "t")
            store.get("a")
        assert not recording.active and self.recorded("t").whole
        assert self.recorded("t").hashes.tolist() == self.names(["a"])
        with pytest.raises(ClosedError):
            store.record_trace(self.folder / "u")
        recording.stop()

    def test_a_file_that_cannot_be_written_is_named(self, store: Any) -> None:
        (self.folder / "mine").write_bytes(b"something of mine")
        for path, error in ((self.folder / "nowhere" / "t", FileNotFoundError), (self.folder, IsADirectoryError),
                            (self.folder / "mine", FileExistsError)):
            with pytest.raises(error) as raised:
                store.record_trace(path)
            assert raised.value.filename == str(path)
        assert (self.folder / "mine").read_bytes() == b"something of mine"
        store.get("a")
        with store.record_trace(self.folder / "t"):
            store.get("b")
        assert self.recorded("t").hashes.tolist() == self.names(["b"])
