"""Apple's form: a folder with ``manifest.json``, and a file of its own for each long value.

The manifest is one JSON object from key to text. A text of more than 1,024 UTF-16 units is null there and lies in a
file named by the MD5 of its key; a null without a file is no entry.

The order of a write is what loses nothing. New files are written beside their places, synced and moved there first;
then the manifest is replaced in one step; then the files that it no longer names are removed. So the entry of a key is
at every instant the old one or the new one, and a file that nothing names is at most left behind.

The app holds its manifest in memory and never looks for another's: write while it does not run. Processes with
door43fast keep off one another by a lock of the folder itself, which leaves nothing behind in it.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import threading
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from door43fast.contracts import MISSING
from door43fast.errors import ClosedError, CorruptError, FormatError
from door43fast.plugins import lock_alone, sync_path
from door43fast.plugins.asyncstorage.forms import MANIFEST

try:
    import fcntl
except ImportError:     # Windows, where no app keeps this form: one process at a time, as docs/backends.md says
    fcntl = None        # type: ignore[assignment]

INLINE = 1024               # UTF-16 units that the manifest itself holds
CHUNK = 256                 # entries that a scan reads at once
BESIDE = ".d43-"            # how a file begins that is not in its place yet

Text = str | None


def file_of(key: str) -> str:
    """The name of the file that holds a key's long value."""
    return hashlib.md5(key.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()


def is_long(text: str) -> bool:
    """If a text has more UTF-16 units than the manifest takes."""
    return len(text) > INLINE or len(text) * 2 > INLINE and len(text.encode("utf-16-le", "surrogatepass")) > 2 * INLINE


class Folder:
    """A storage in a folder. ``options`` are those of the store. Any thread may call any method."""

    transactions = False        # several long values are not replaced in one step
    nulls = False

    def __init__(self, path: str, options: Any, form: str | None) -> None:
        self.path = path
        self._manifest_path = os.path.join(path, MANIFEST)
        self._options = options
        self._guard = threading.RLock()     # of the manifest in memory
        self._depth = 0                     # of ``writing``, by whoever holds the guard
        self._seen: Any = None              # what the manifest's file was when it was read
        self._entries: dict[str, Text] = {}
        self._order: list[str] | None = None
        self._news = 0
        self._closed = False
        if form is not None:
            os.makedirs(path, exist_ok=True)
            if not os.path.exists(self._manifest_path):
                self._replace({})
        self._descriptor = os.open(path, os.O_RDONLY) if fcntl is not None else -1
        try:
            self._load()
            if not options.readonly:
                with self.writing():
                    self._tidy()
        except BaseException:
            self.close()
            raise

    def _tidy(self) -> None:
        """Remove what a process that died had not yet put in its place."""
        for name in os.listdir(self.path):
            if name.startswith(BESIDE):
                os.unlink(os.path.join(self.path, name))

    # -- the manifest ----------------------------------------------------------------------------------------

    def _load(self) -> dict[str, Text]:
        """The entries as they are now: read anew where another has replaced the file. REQUIRES: the guard."""
        if self._closed:
            raise ClosedError(f"the storage at {self.path!r} is closed: open it again before use")
        status = os.stat(self._manifest_path)
        seen = status.st_ino, status.st_mtime_ns, status.st_size
        if seen == self._seen:
            return self._entries
        with open(self._manifest_path, "rb") as file:
            status = os.fstat(file.fileno())
            data = file.read()
        try:
            entries = json.loads(data)
        except ValueError as error:
            raise CorruptError(f"{self._manifest_path!r} is no JSON ({error}): it was damaged; restore a copy, since "
                               "an app that finds it so begins anew") from None
        if not isinstance(entries, dict) or not all(
                value is None or isinstance(value, str) for value in entries.values()):
            raise FormatError(f"{self._manifest_path!r} is no manifest of AsyncStorage, which maps texts to texts: it "
                              "was left untouched; name the folder that the app uses")
        self._seen = status.st_ino, status.st_mtime_ns, status.st_size
        self._entries, self._order = entries, None
        self._news += 1
        return entries

    def _replace(self, entries: dict[str, Text]) -> None:
        try:
            data = json.dumps(entries, ensure_ascii=False, separators=(",", ":")).encode()
        except UnicodeEncodeError:      # the app left half of a pair somewhere, which only an escape can say
            data = json.dumps(entries, separators=(",", ":")).encode()
        beside = self._beside(data)
        os.replace(beside, self._manifest_path)
        self._sync_names()

    def _beside(self, data: bytes) -> str:
        """A new file with ``data``, not in its place yet."""
        path = os.path.join(self.path, f"{BESIDE}{os.getpid()}-{os.urandom(6).hex()}")
        try:
            with open(path, "xb") as file:
                file.write(data)
                if self._options.durability == "commit":
                    file.flush()
                    os.fsync(file.fileno())
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            raise
        return path

    def _sync_names(self) -> None:
        if self._options.durability == "commit":
            sync_path(self.path)

    # -- reading ---------------------------------------------------------------------------------------------

    def _text(self, key: str, held: Any) -> Any:
        """The text of an entry, MISSING for a null without a file."""
        if held is not None:
            return held
        path = os.path.join(self.path, file_of(key))
        try:
            with open(path, "rb") as file:
                return file.read().decode()
        except FileNotFoundError:
            return MISSING
        except UnicodeDecodeError:
            raise CorruptError(f"the value of key {key!r} in {path!r} is no text in UTF-8: it was damaged; restore the "
                               "file, or set the key anew") from None

    def fetch(self, keys: Sequence[str]) -> list[Any]:
        """The text under each key, MISSING where there is none."""
        with self._guard:
            self._load()        # before the lock, which a closed one has no more
            with self._still():
                entries = self._load()
                return [self._text(key, entries[key]) if key in entries else MISSING for key in keys]

    @contextlib.contextmanager
    def _still(self) -> Iterator[None]:
        """No other process of ours writes: what is read of several files is of one state."""
        if fcntl is None or self._depth:
            yield
            return
        fcntl.flock(self._held(), fcntl.LOCK_SH)
        try:
            yield
        finally:
            fcntl.flock(self._held(), fcntl.LOCK_UN)

    def _sorted(self) -> list[str]:
        entries = self._load()
        if self._order is None:
            self._order = sorted(key for key in entries if key)
        return self._order

    def rows(self, low: str, high: str | None, reverse: bool) -> Iterator[tuple[str, Text]]:
        """Keys and texts in order, in chunks of one state each."""
        with self._guard:
            order = self._sorted()
            keys = order[bisect_left(order, low):len(order) if high is None else bisect_left(order, high)]
        keys = keys[::-1] if reverse else keys
        for at in range(0, len(keys), CHUNK):
            part = keys[at:at + CHUNK]
            yield from ((key, text) for key, text in zip(part, self.fetch(part), strict=True) if text is not MISSING)

    def count(self) -> int:
        with self._guard:
            entries = self._load()
            return sum(1 for key, text in entries.items() if key and (
                text is not None or os.path.exists(os.path.join(self.path, file_of(key)))))

    def epoch(self) -> int:
        """A number that grows when another has written."""
        with self._guard:
            self._load()
            return self._news

    def occupied(self) -> int:
        with os.scandir(self.path) as found:
            return sum(one.stat().st_size for one in found if one.is_file())

    # -- writing ---------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """No other process of ours writes."""
        with self._guard:
            if not self._depth:
                self._lock()
            self._depth += 1
            try:
                yield
            finally:
                self._depth -= 1
                if not self._depth and fcntl is not None:
                    fcntl.flock(self._held(), fcntl.LOCK_UN)

    def _held(self) -> int:
        """The descriptor that is locked; another in the child of a fork."""
        if self._closed:
            raise ClosedError(f"the store at {self.path!r} is closed: open it again before use")
        if self._descriptor < 0:
            self._descriptor = os.open(self.path, os.O_RDONLY)
        return self._descriptor

    def _lock(self) -> None:
        if fcntl is None:
            return
        lock_alone(self._held(), self.path, self._options.busy_timeout)

    def put(self, changes: Sequence[tuple[str, Any]]) -> None:
        """Keep texts, or take out what is MISSING. REQUIRES: within :meth:`writing`."""
        before = self._load()
        entries = dict(before)
        staged: list[tuple[str, str]] = []
        try:
            for key, text in changes:
                if text is MISSING:
                    entries.pop(key, None)
                elif is_long(text):
                    staged.append((self._beside(text.encode()), os.path.join(self.path, file_of(key))))
                    entries[key] = None
                else:
                    entries[key] = text
        except BaseException:
            for beside, _ in staged:
                os.unlink(beside)
            raise
        self._carry_out(before, entries, staged)

    def _carry_out(self, before: dict[str, Text], entries: dict[str, Text], staged: list[tuple[str, str]]) -> None:
        """See the head of this module for the order."""
        for beside, place in staged:
            os.replace(beside, place)
        if staged:
            self._sync_names()
        if entries != before:
            self._replace(entries)
        for key in (key for key, text in before.items() if text is None and entries.get(key, "") is not None):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(self.path, file_of(key)))
        self._own(entries)

    def _own(self, entries: dict[str, Text]) -> None:
        """The manifest is what we have just written: no news."""
        status = os.stat(self._manifest_path)
        self._seen = status.st_ino, status.st_mtime_ns, status.st_size
        self._entries, self._order = entries, None

    def erase(self, low: str, high: str | None) -> None:
        """Take out a range; of everything, also an entry without a key, as the app's ``clear`` does."""
        before = self._load()
        whole = not low and high is None
        self._carry_out(before, {} if whole else {
            key: text for key, text in before.items() if key < low or high is not None and key >= high}, [])

    # -- care ------------------------------------------------------------------------------------------------

    def sync(self) -> None:
        with self._guard:
            for key, text in self._load().items():
                path = os.path.join(self.path, file_of(key))
                if text is None and os.path.exists(path):
                    sync_path(path)
            sync_path(self._manifest_path)
            sync_path(self.path)

    def wrong(self) -> Iterator[str]:
        """Nothing beyond what reading finds."""
        return iter(())

    def copy(self, target: str, progress: Callable[[int, int, str], Any] | None) -> None:
        """The folder, while other processes of ours wait with their writes."""
        if os.path.exists(target):
            raise FileExistsError(errno.EEXIST, "a backup does not overwrite: name a new folder", target)
        with self.writing() if not self._options.readonly else self._guard, self._still():
            shutil.copytree(self.path, target, ignore=shutil.ignore_patterns(f"{BESIDE}*"))
        if progress is not None:
            progress(1, 1, "folders")

    def forking(self) -> None:
        """Nobody is in the middle of anything when a fork is made."""
        self._guard.acquire()

    def forked(self, here: bool) -> None:
        if here:
            self._guard.release()
            return
        self._guard = threading.RLock()
        if self._descriptor >= 0:       # a lock of the parent's descriptor would be the child's too
            os.close(self._descriptor)
            self._descriptor = -1       # the next use opens another

    def close(self) -> None:
        with self._guard:
            self._closed = True
            if self._descriptor >= 0:
                os.close(self._descriptor)
                self._descriptor = -1
