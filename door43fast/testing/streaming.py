"""Conformance: values as binary files, read and written piece by piece."""

from __future__ import annotations

import io
from typing import Any

import pytest

from door43fast.errors import ClosedError
from door43fast.testing.awaiting import run
from door43fast.testing.basis import Basis, needs

SIZES = (0, 1, 1000, 262_111, 262_112, 262_113, 1_500_000)


def content(size: int) -> bytes:
    """Bytes that tell a place from any other that is a few pieces away."""
    return b"".join(i.to_bytes(4, "little") for i in range(size // 4 + 1))[:size]


@needs("writes", "streams")
class StreamTests(Basis):
    @pytest.mark.parametrize("size", SIZES)
    def test_what_is_written_is_what_is_read(self, store: Any, size: int) -> None:
        value = content(size)
        with store.writer("k") as file:
            assert file.writable() and not file.readable()
            for at in range(0, size, 70_001):
                assert file.write(memoryview(value)[at:at + 70_001]) == min(70_001, size - at)
                assert file.tell() == min(at + 70_001, size)
            assert "k" not in store
        assert store["k"] == value
        with store.reader("k") as file:
            assert file.size == size and file.readable() and file.seekable() and not file.writable()
            assert file.read() == value and file.read() == b"" and file.tell() == size
        assert not self.capabilities.listing or store.verify()["errors"] == []

    @pytest.mark.parametrize("size", [1000, 1_500_000])
    def test_a_value_that_was_set_is_read_from_any_place(self, store: Any, size: int) -> None:
        value, model = content(size), io.BytesIO(content(size))
        store["k"] = value
        with store.reader("k") as file:
            for whence, offset, length in ((0, 10, 5), (1, 300, 700), (2, -100, 200), (0, size // 2, size), (0, 0, 1),
                                           (1, 262_111, 3), (0, size + 5, 4), (2, -size, 16)):
                assert file.seek(offset, whence) == model.seek(offset, whence)
                assert file.read(length) == model.read(length) and file.tell() == model.tell()
            with pytest.raises(ValueError):
                file.seek(-1)
            assert file.seek(0) == 0 and io.BufferedReader(file).read(size + 1) == value

    def test_nothing_of_what_is_given_up(self, store: Any) -> None:
        store["k"] = b"before"
        with pytest.raises(RuntimeError), store.writer("k") as file:
            file.write(bytes(1_000_000))
            raise RuntimeError
        file = store.writer("k")
        file.write(bytes(1_000_000))
        file.abandon()
        file.close()
        with pytest.raises(ValueError):
            file.write(b"more")
        file = store.writer("k")
        file.write(bytes(1_000_000))
        del file
        assert store["k"] == b"before" and (not self.capabilities.listing or store.verify()["errors"] == [])

    @needs("ttl", "tags")
    def test_its_options_are_those_of_set(self, store: Any) -> None:
        for size in (10, 1_500_000):
            with store.writer("k", ttl=50, tags=("t",)) as file:
                file.write(bytes(size))
            assert 49 < store.ttl("k") <= 50.01
            store.invalidate("t")
            assert "k" not in store
            store["k"] = b"before"
            with store.writer("k", ttl=0) as file:
                file.write(bytes(size))
            assert "k" not in store
        with pytest.raises(TypeError):
            store.writer("k", tags="t")

    def test_what_cannot_be_read(self, store: Any) -> None:
        with pytest.raises(KeyError):
            store.reader("k")
        for value in ("text", 7, ["x" * 2_000_000]):
            store["k"] = value
            with pytest.raises(TypeError, match="use get"):
                store.reader("k")
        store["k"] = bytearray(b"like bytes")
        assert store.reader("k").read() == b"like bytes"
        store["k"] = b"v"
        file = store.reader("k")
        file.close()
        for call in (lambda: file.read(1), lambda: file.seek(0), file.tell):
            with pytest.raises(ValueError):
                call()

    def test_a_version_is_never_mixed_with_another(self, store: Any) -> None:
        """A reader goes on with what it began with, or says that it is gone."""
        from door43fast.errors import ConflictError
        store["k"] = content(1_500_000)
        with store.reader("k") as file:
            file.read(10)
            store["k"] = bytes(1_500_000)
            try:
                assert file.read() == content(1_500_000)[10:]
            except ConflictError as error:
                assert "open a reader anew" in str(error)
        with store.reader("k") as file:
            assert file.read() == bytes(1_500_000)

    def test_a_writer_replaces_what_was_promoted(self, store: Any) -> None:
        store["k"] = b"before"
        assert store["k"] == store.get("k") == b"before"
        with store.writer("k") as file:
            file.write(content(1_500_000))
        assert store.get("k") == content(1_500_000) and store.get_many(["k"]) == [content(1_500_000)]
        assert store.delete("k") and store.get("k") is None

    def test_after_close(self, store: Any) -> None:
        store["k"] = b"v"
        file = store.writer("k")
        file.write(bytes(1_000_000))
        store.close()
        with pytest.raises(ClosedError):
            file.close()
        for call in (lambda: store.reader("k"), lambda: store.writer("k")):
            with pytest.raises(ClosedError):
                call()

    def test_as_coroutines(self, store: Any) -> None:
        value = content(1_500_000)

        async def main() -> None:
            async with store.aio.writer("k") as file:
                assert await file.write(value) == len(value) and file.tell() == len(value)
            async with store.aio.reader("k") as file:
                assert await file.seek(400_000) == 400_000 and await file.read(10) == value[400_000:400_010]
                assert await file.read() == value[400_010:]
            with pytest.raises(RuntimeError):
                async with store.aio.writer("k") as file:
                    await file.write(b"x")
                    raise RuntimeError
            with pytest.raises(KeyError):
                async with store.aio.reader("missing"):
                    pass
            async with store.aio.writer("k") as file:
                await file.write(b"x")
                await file.abandon()
        run(main())
        assert store["k"] == value
