"""Requests to one server: asked again where that may help, sent elsewhere where that is allowed, and told in errors.

A request is asked again after a lost connection, a timeout, and the answers that say to come later; before each time it
waits for any time up to a bound that doubles, so that many who were turned away together do not come back together. A
``Retry-After`` of the server is kept, unless it is longer than ``max_wait``: then the call fails at once.
"""

from __future__ import annotations

import random
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx

from door43fast.errors import BackendUnavailableError, ClosedError, ConfigError, KeyTooLongError
from door43fast.plugins.http.bodies import Body
from door43fast.plugins.http.places import Place, led_to, shown

LATER = (408, 425, 429, 500, 502, 503, 504)
ELSEWHERE = (301, 302, 303, 307, 308)
MISSING = (404, 410)
NO_HEAD = (405, 501)        # answers of a server that does not know HEAD
SENT_ON = 5                 # redirects that one request follows


class Answer(NamedTuple):
    """What came of a request; ``body`` is None where none was asked for or there is none."""

    status: int
    headers: Mapping[str, str]
    body: bytes | None


class _Lost(Exception):
    """The answer broke off, or says to come later; ``wait`` is what it asks for."""

    def __init__(self, what: str, wait: float = 0.0) -> None:
        super().__init__(what)
        self.wait = wait


class Exchange:
    """The connections to one server. ``options`` are those of the store. Any thread may call any method."""

    def __init__(self, place: Place, options: Any) -> None:
        self._place = place
        self._options = options
        self._random = random.SystemRandom()
        self._ending = threading.Event()
        self._under_way = 0
        self._idle = threading.Condition()
        self._auth = _authorization(place, options)
        self._client = self._made()

    def _made(self) -> httpx.Client:
        options = self._options
        trusted: Any = True
        if options.tls_ca is not None:
            try:
                trusted = ssl.create_default_context(cafile=options.tls_ca)
            except (OSError, ssl.SSLError) as error:
                raise ConfigError(f"tls_ca={options.tls_ca!r} cannot be read as certificates: {error}") from None
        return httpx.Client(
            verify=trusted, follow_redirects=False,
            timeout=httpx.Timeout(options.timeout, connect=options.connect_timeout),
            limits=httpx.Limits(max_connections=options.connections, max_keepalive_connections=options.connections),
            headers={"user-agent": "door43fast", "accept": "*/*", "accept-encoding": "gzip"})

    # -- one request -----------------------------------------------------------------------------------------

    def ask(self, method: str, url: str, headers: Mapping[str, str] | None = None) -> Answer:
        """The answer to a request for one value; a body is whole, or an error is raised.

        Raises
        ------
        BackendUnavailableError
            If the server cannot be reached, or answers with anything but a value, "not changed" or "not here".
        BudgetError
            If the body is too long.
        """
        body = Body(url, self._options.max_value)
        end = time.monotonic() + self._options.total_timeout
        with self.calling():
            for attempt in range(self._options.retries + 1):
                try:
                    return self._sent(method, url, dict(headers or {}) | body.again(), body, end)
                except _Lost as lost:
                    if attempt == self._options.retries:
                        raise BackendUnavailableError(
                            f"{url}: {lost}, at each of {attempt + 1} attempts: see that the server runs and can be "
                            "reached, or try later") from lost.__cause__
                    self._wait(url, lost, attempt, end)
        raise AssertionError("the last attempt returns or raises")

    def _wait(self, url: str, lost: _Lost, attempt: int, end: float) -> None:
        if lost.wait > self._options.max_wait:
            raise BackendUnavailableError(f"{url}: {lost}, and asks to come back in {lost.wait:g} seconds, which is "
                                          f"longer than max_wait={self._options.max_wait:g}: try later") from None
        longest = min(self._options.backoff * 2**attempt, self._options.max_wait)
        wait = max(lost.wait, self._random.uniform(0, longest))
        if time.monotonic() + wait > end:
            raise self._too_slow(url) from lost.__cause__
        if self._ending.wait(wait):
            raise ClosedError(f"the store of {self._place.base!r} was closed while {url} was waited for")

    def _too_slow(self, url: str) -> BackendUnavailableError:
        return BackendUnavailableError(f"{url} took longer than total_timeout={self._options.total_timeout:g} seconds: "
                                       "try later, read it by reader(), or give it longer")

    def _sent(self, method: str, url: str, headers: dict[str, str], body: Body, end: float) -> Answer:
        target = url
        for _ in range(SENT_ON + 1):
            own = {**headers, **self._auth} if self._is_ours(target) else headers
            try:
                with self._client.stream(method, target, headers=own) as response:
                    if response.status_code not in ELSEWHERE:
                        return self._read(method, url, response, body, end)
                    to = led_to(self._place, self._options.redirects, target, response.headers.get("location", ""))
            except httpx.TransportError as error:
                if _distrusted(error):
                    raise BackendUnavailableError(f"{url}: the server's certificate is not trusted ({error}): see its "
                                                  "name and date, or give tls_ca=") from error
                raise _Lost(f"{type(error).__name__} ({error})") from error
            except httpx.InvalidURL as error:
                raise BackendUnavailableError(f"{url} sends to an address that is none: {error}") from error
            if to is None:
                return Answer(404, {}, None)
            target = to
        raise BackendUnavailableError(f"{url} sends on more than {SENT_ON} times, the last time to {shown(target)}: "
                                      "name the right place")

    def _is_ours(self, url: str) -> bool:
        """If credentials may go there: the same host, not less secure."""
        parts = urlsplit(url)
        return parts.hostname == self._place.host and (parts.scheme == "https" or not self._place.secure)

    def _read(self, method: str, url: str, response: httpx.Response, body: Body, end: float) -> Answer:
        status, headers = response.status_code, response.headers
        if status in LATER:
            raise _Lost(f"the server answers {status}", _asked_for(headers.get("retry-after", "")))
        if status == 416 and body.begun:
            body.forget()
            raise _Lost("the server no longer has the rest of what broke off")
        if status in MISSING or status == 304 or status == 416 and "range" in response.request.headers:
            return Answer(status, headers, None)
        if method == "HEAD" and status in (200, *NO_HEAD):
            return Answer(status, headers, None)
        if status == 414:
            raise KeyTooLongError(f"{url[:60]}... is longer than its server takes: shorten the key")
        if status == 206:
            if not body.goes_on(headers):
                piece = Body(url, self._options.max_value)
                piece.begin(headers)
                return Answer(status, headers, self._taken(url, response, piece, end))
        elif status != 200:
            raise BackendUnavailableError(f"{url}: the server answers {status} {response.reason_phrase}".rstrip()
                                          + (": give user and password in url=, or token=" if status in (401, 403)
                                             else ": see what it says of it"))
        else:
            body.begin(headers)
        return Answer(200, headers, self._taken(url, response, body, end))

    def _taken(self, url: str, response: httpx.Response, body: Body, end: float) -> bytes:
        for data in response.iter_raw():    # as it comes: gathered pieces would hide how slowly
            body.take(data)
            if time.monotonic() > end:
                raise self._too_slow(url)
        return body.whole()

    # -- open and closed -------------------------------------------------------------------------------------

    @contextmanager
    def calling(self) -> Iterator[None]:
        with self._idle:
            if self._ending.is_set():
                raise ClosedError(f"the store of {self._place.base!r} is closed: open it again before use")
            self._under_way += 1
        try:
            yield
        finally:
            with self._idle:
                self._under_way -= 1
                self._idle.notify_all()

    def forked(self) -> None:
        """In the child of a fork: connections are the parent's."""
        self._idle = threading.Condition()
        self._under_way = 0
        self._client = self._made()

    def close(self) -> None:
        """Waits for the requests under way; those that wait to be asked again are given up."""
        self._ending.set()
        with self._idle:
            self._idle.wait_for(lambda: not self._under_way)
        self._client.close()


def _authorization(place: Place, options: Any) -> dict[str, str]:
    if options.token is not None:
        if place.user is not None:
            raise ConfigError("token= and a user in url= exclude one another: give one")
        if not options.token.isascii() or not options.token.isprintable() or " " in options.token:
            raise ConfigError("token= holds a space, a line break or another character that no header can: see that it "
                              "was copied whole and alone")
        return {"authorization": f"Bearer {options.token}"}
    if place.user is None:
        return {}
    import base64

    both = f"{place.user}:{place.password or ''}".encode()
    return {"authorization": f"Basic {base64.b64encode(both).decode()}"}


def _distrusted(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _asked_for(text: str) -> float:
    """The seconds of a ``Retry-After``; 0 where there is none, or none that can be read."""
    text = text.strip()
    if text.isdigit():
        return float(text)
    try:
        when = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return 0.0
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return max((when - datetime.fromtimestamp(time.time(), UTC)).total_seconds(), 0.0)
