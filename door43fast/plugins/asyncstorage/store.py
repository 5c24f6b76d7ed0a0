"""The store over the files of React Native's AsyncStorage, as the app leaves them and finds them again."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Annotated, Any, Literal

from msgspec import Meta

from door43fast.config import Duration, Location, Options, Size
from door43fast.contracts import MISSING, Capabilities
from door43fast.errors import BudgetError, ConfigError, CorruptError, Error
from door43fast.plugins import Record, RecordStore
from door43fast.plugins.asyncstorage import forms, texts
from door43fast.plugins.asyncstorage.database import Database
from door43fast.plugins.asyncstorage.folder import Folder

Form = Literal["android", "next", "shared", "windows", "apple"]
NULL = 2        # the version of a null; that of a text is odd


class AsyncStorageOptions(Options, kw_only=True):
    """The options of ``AsyncStorageStore``."""

    path: Annotated[Location, Meta(description="The app's file, its folder, or the folder that either lies in.")]
    form: Annotated[Form | None, Meta(description="Which form to make where there is none; told by the name if not "
                                                  "given. What is there must be of it.")] = None
    codec: Annotated[Literal["auto", "text", "json"], Meta(
        description="How values become texts: texts as they are and all others marked; texts alone; all as JSON.")] = \
        "auto"
    max_value: Annotated[Size | None, Meta(
        description="The longest text in bytes, 0 for any; by default 2 MB where Android reads by a cursor.")] = None
    max_bytes: Annotated[Size | None, Meta(
        description="The most that the SQLite file may take, 0 for any; by default the app's 6 MB in the form "
                    "`android`.")] = None
    durability: Annotated[Literal["commit", "none"], Meta(
        description="Whether every acknowledged write survives a power loss, or what the system had written by "
                    "then.")] = "commit"
    busy_timeout: Annotated[Duration, Meta(
        description="How long to wait for another process that writes, before `BackendUnavailableError`.")] = 5.0
    readonly: Annotated[bool, Meta(description="Refuse every write.")] = False
    create: Annotated[bool, Meta(description="Make a storage where there is none.")] = True


class AsyncStorageStore(RecordStore):
    """A store in the files of an app. They have no place for expiry or tags: ``UnsupportedError``."""

    Options = AsyncStorageOptions
    capabilities = RecordStore.capabilities._replace(ttl=False, tags=False, backup=True, shared=True)

    def __init__(self, options: AsyncStorageOptions | None = None, /, **wanted: Any) -> None:
        super().__init__(options, **wanted)
        self._files = self._opened()
        try:
            self._codec = texts.codec_of(self.options.codec, self._files.nulls)
            self._longest = self._bound()
        except BaseException:
            self._files.close()
            raise
        self.capabilities = self.capabilities._replace(transactions=self._files.transactions)

    @classmethod
    def capable(cls, options: Any) -> Capabilities:
        """Which form it has is known before only where ``form`` says it."""
        can, bytes_too = super().capable(options), options.codec == "auto"
        return can._replace(packed=can.packed and bytes_too, streams=can.streams and bytes_too,
                            transactions=can.transactions and options.form not in (None, forms.APPLE))

    def _make_codec(self) -> Any:
        return None     # it depends on the form, which is not known yet

    def _opened(self) -> Database | Folder:
        options = self.options
        path, form = forms.find(os.path.abspath(options.path), options.form)
        if form is None:
            if options.readonly or not options.create:
                raise ConfigError(f"there is no storage at {path!r}: see the path, or open it with create=True and "
                                  "without readonly")
            form = options.form or forms.by_name(path)
            return Folder(path, options, form) if form == forms.APPLE else Database(path, options, form)
        files: Database | Folder = Folder(path, options, None) if form == forms.APPLE else Database(path, options, None)
        found = forms.APPLE if isinstance(files, Folder) else files.form.name
        if options.form not in (None, found):
            files.close()
            raise ConfigError(f"{path!r} has the form {found!r} and not {options.form!r}: leave form= out, or name "
                              "another path")
        return files

    def _bound(self) -> int:
        if isinstance(self._files, Folder):
            if self.options.max_bytes is not None:
                raise ConfigError("max_bytes= bounds a file of SQLite, and Apple's form has none: leave it out")
            return self.options.max_value or 0
        usual = self._files.form.max_value
        return (usual if self.options.max_value is None else self.options.max_value) or 0

    @property
    def form(self) -> str:
        """``"android"``, ``"next"``, ``"shared"``, ``"windows"`` or ``"apple"``: see docs/backends.md."""
        return forms.APPLE if isinstance(self._files, Folder) else self._files.form.name

    @property
    def path(self) -> str:
        """The file or folder."""
        return self._files.path

    # -- what the app has besides ----------------------------------------------------------------------------

    def merge(self, key: Any, value: Any) -> None:
        """``mergeItem`` of the app: objects of JSON are merged deeply; where either side is none, it is replaced."""
        self.merge_many({key: value})

    def merge_many(self, items: Mapping[Any, Any]) -> None:
        """``multiMerge`` of the app, in one step."""
        self._lacks("writes", "takes no writes")
        keys = [self._key(key) for key in items]
        drafts = [self._draft(value, None) for value in items.values()]

        def step(found: list[Record | None]) -> tuple[None, Sequence[Any]]:
            whole = []
            for record, draft in zip(found, drafts, strict=True):
                text = draft.payload if record is None else texts.merged(record.payload, draft.payload)
                whole.append(draft._replace(payload=text, value=self._codec.decode(0, text)))
            return None, self._stored(keys, found, whole)
        self._change(keys, step)

    # -- what every backend brings ---------------------------------------------------------------------------

    def _fetch(self, keys: Sequence[str]) -> list[Record | None]:
        return [None if text is MISSING else _record(text) for text in self._files.fetch(keys)]

    def _apply(self, changes: list[tuple[str, Record | None]]) -> None:
        if self._longest:
            for key, record in changes:
                if record is not None and record.payload is not None:
                    self._fits(key, record.payload)
        self._files.put([(key, MISSING if record is None else record.payload) for key, record in changes])

    def _fits(self, key: str, text: str) -> None:
        size = len(text) if text.isascii() else len(text.encode())
        if size > self._longest:
            raise BudgetError(f"the value of key {key!r} has {size} bytes as a text, and max_value={self._longest}: "
                              "Android reads a row through a window of 2 MB, so the app could not; split it, or "
                              "raise max_value= if the app reads otherwise")

    def _walk(self, low: str, high: str | None, reverse: bool = False) -> Iterator[tuple[str, Record]]:
        for key, text in self._files.rows(low, high, reverse):
            yield key, _record(text)

    def _decode(self, record: Record) -> Any:
        return self._codec.decode(record.mark, record.payload)

    def _generations(self, tags: Sequence[str]) -> dict[str, int]:
        return {}

    def _due(self, now: float) -> list[str]:
        return []       # nothing expires

    def _held(self) -> int:
        return self._files.count()

    def _erase(self, low: str, high: str | None) -> None:
        self._files.erase(low, high)

    def _writing(self) -> AbstractContextManager[Any]:
        return self._files.writing()

    def _epoch(self) -> int:
        """A number that grows when another has written: what a memory tier above asks."""
        self._open()
        return self._files.epoch()

    # -- care ------------------------------------------------------------------------------------------------

    def _sync(self) -> None:
        self._files.sync()

    def _sound(self) -> Iterator[str]:
        rows = self._walk("", None)
        while True:
            try:
                key, record = next(rows)
            except StopIteration:
                break
            except CorruptError as error:       # of one row; the rows end with it
                yield str(error)
                break
            try:
                self._decode(record)
            except Error as error:
                yield f"key {key!r}: {error}"
            else:
                yield ""
        yield from self._files.wrong()

    def _occupied(self) -> int:
        return self._files.occupied()

    def backup(self, path: Any, *, progress: Callable[[int, int, str], Any] | None = None) -> None:
        """Write a copy in the same form to ``path``, of one state: a file without side files, or a folder."""
        self._open()
        self._files.copy(os.path.abspath(os.fsdecode(os.fspath(path))), progress)

    def _forking(self) -> None:
        self._files.forking()

    def _forked_here(self) -> None:
        self._files.forked(here=True)

    def _forked(self) -> None:
        self._files.forked(here=False)

    def _shut(self) -> None:
        self._files.close()


def _record(text: str | None) -> Record:
    """The files keep no version, so a text is its own: changed and changed back is unchanged."""
    return Record(0, text, None, 0.0, (), NULL if text is None else hash(text) & ((1 << 61) - 1) | 1)
