"""The store over a server of HTTP, which reads: what lies below a URL, by its path.

A value that was read is kept beside what the server said of its version (ETag, Last-Modified), within ``cache_bytes``.
Each read asks the server whether it is still the same, and where it is, none of it is sent again.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from door43fast import codecs
from door43fast.contracts import JSON, MISSING, RAW, STR, Capabilities
from door43fast.errors import BackendUnavailableError, ConfigError
from door43fast.plugins import Record, RecordStore
from door43fast.plugins.http.options import HttpOptions
from door43fast.plugins.http.places import place_of
from door43fast.plugins.http.reader import HttpReader

KEPT = 400      # bytes that a kept body costs beyond itself
MARKS = {"raw": RAW, "text": STR, "json": JSON}


class Kept(NamedTuple):
    """A body, and what its server said of its version."""

    body: bytes
    etag: str | None
    modified: str | None


class HttpStore(RecordStore):
    """A store that reads what lies below a URL. Every write is ``UnsupportedError``, as is what lists keys."""

    Options = HttpOptions
    capabilities = RecordStore.capabilities._replace(
        writes=False, ordered=False, ttl=False, tags=False, pins=False, transactions=False, events=False, compute=False,
        listing=False, shared=True)

    @staticmethod
    def unavailable() -> tuple[str, str] | None:
        try:
            import httpx  # noqa: F401
        except ImportError as error:
            return str(error), "install door43fast[http]"
        return None

    def __init__(self, options: HttpOptions | None = None, /, **wanted: Any) -> None:
        super().__init__(options, **wanted)
        hindrance = self.unavailable()
        if hindrance is not None:
            raise BackendUnavailableError(f"HttpStore cannot be used: {hindrance[0]}; {hindrance[1]}")
        from door43fast.plugins.http.exchange import Exchange

        if self.options.max_value < 1:
            raise ConfigError("max_value=0 would take no value at all: give the most bytes that one may have")
        self._place = place_of(self.options.url)
        self._mark = MARKS[self.options.codec]
        self._exchange = Exchange(self._place, self.options)
        self._keeping = threading.Lock()
        self._kept: OrderedDict[str, Kept] = OrderedDict()      # the one that was used last stands last
        self._weight = 0
        self._pool: ThreadPoolExecutor | None = None

    @classmethod
    def capable(cls, options: HttpOptions) -> Capabilities:
        can = super().capable(options)
        return can if options.codec == "raw" else can._replace(packed=False, streams=False)

    def _make_codec(self) -> Any:
        return codecs.resolve("auto")       # it reads by marks: those of MARKS

    def url_of(self, key: Any) -> str:
        """Where the value of a key lies."""
        return self._place.url(self._key(key))

    # -- one value -------------------------------------------------------------------------------------------

    def _fetch(self, keys: Sequence[str]) -> list[Record | None]:
        bodies = self._each(self._body, keys)
        return [None if body is None else Record(self._mark, body, version=hash(body) & ((1 << 61) - 1) | 1)
                for body in bodies]

    def _each(self, work: Any, keys: Sequence[str]) -> list[Any]:
        """``work`` for each key, several at a time; each key once."""
        for key in keys:
            self._place.url(key)        # a key that is none is refused before anything is asked for
        if len(keys) == 1:
            return [work(keys[0])]
        once = list(dict.fromkeys(keys))
        if len(once) < 2:
            return [work(one) for one in once] * len(keys)
        with self._exchange.calling():
            results = dict(zip(once, self._workers().map(work, once), strict=True))
        return [results[key] for key in keys]

    def _workers(self) -> ThreadPoolExecutor:
        with self._keeping:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(self.options.connections, thread_name_prefix="door43fast-http")
            return self._pool

    def _body(self, key: str) -> bytes | None:
        url = self._place.url(key)
        kept = self._look(key)
        headers = {}
        if kept is not None and kept.etag is not None:
            headers["if-none-match"] = kept.etag
        elif kept is not None and kept.modified is not None:
            headers["if-modified-since"] = kept.modified
        answer = self._exchange.ask("GET", url, headers)
        if answer.status == 304 and kept is not None:
            return kept.body
        if answer.status in (404, 410):
            self._keep(key, None)
            return None
        if answer.body is None or answer.status != 200:
            raise BackendUnavailableError(f"{url}: the server answers {answer.status} to a request for the whole: see "
                                          "what stands between")
        told = Kept(answer.body, answer.headers.get("etag"), answer.headers.get("last-modified"))
        useful = (told.etag or told.modified) and "no-store" not in answer.headers.get("cache-control", "").lower()
        self._keep(key, told if useful else None)
        return answer.body

    def _there(self, key: str) -> bool:
        status = self._exchange.ask("HEAD", self._place.url(key)).status
        return status == 200 or status not in (404, 410) and self._body(key) is not None

    def __contains__(self, key: Any) -> bool:
        """If the server has it, without its body."""
        key = self._key(key)
        self._open()
        return self._there(key)

    def contains_many(self, keys: Iterable[Any]) -> list[bool]:
        """For each key in order if the server has it."""
        wanted = [self._key(key) for key in keys]
        self._open()
        return self._each(self._there, wanted)

    def reader(self, key: Any) -> Any:
        """The value as a binary file to read, piece by piece, each by a range request where the server knows ranges."""
        self._needs("streams", "gives no values as files")
        return HttpReader(self._exchange, self.url_of(key), key)

    # -- what is kept ----------------------------------------------------------------------------------------

    def _look(self, key: str) -> Kept | None:
        with self._keeping:
            kept = self._kept.get(key)
            if kept is not None:
                self._kept.move_to_end(key)
            return kept

    def _keep(self, key: str, kept: Kept | None) -> None:
        with self._keeping:
            before = self._kept.pop(key, None)
            if before is not None:
                self._weight -= len(before.body) + KEPT
            if kept is None or len(kept.body) + KEPT > self.options.cache_bytes:
                return
            self._kept[key] = kept
            self._weight += len(kept.body) + KEPT
            while self._weight > self.options.cache_bytes:
                self._weight -= len(self._kept.popitem(last=False)[1].body) + KEPT

    def _occupied(self) -> int:
        with self._keeping:
            return self._weight

    # -- for a memory tier -----------------------------------------------------------------------------------

    def _epoch(self) -> int:
        """Nobody tells when others have written: a memory tier goes by ``staleness`` alone."""
        self._open()
        return 0

    def _with_deadlines(self, keys: list[Any]) -> list[tuple[Any, float | None]]:
        return [(value, None if value is MISSING else self.options.staleness)
                for value in self.get_many(keys, MISSING)]

    def _forked(self) -> None:
        self._keeping = threading.Lock()
        self._pool = None
        self._exchange.forked()

    def _shut(self) -> None:
        self._exchange.close()
        with self._keeping:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown()
