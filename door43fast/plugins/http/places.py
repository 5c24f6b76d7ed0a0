"""From keys to URLs: always below the base, and where an answer may send to."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import quote, unquote, urljoin, urlsplit

from door43fast.config import redacted
from door43fast.errors import BackendUnavailableError, ConfigError, KeyTooLongError

LONGEST = 8000          # bytes of a URL; most servers take no more
SEPARATORS = re.compile(r"[/\\]")


class Place(NamedTuple):
    """Where the keys lie. ``base`` has neither credentials nor a slash at its end."""

    base: str
    host: str
    secure: bool
    user: str | None
    password: str | None

    def url(self, key: str) -> str:
        """The URL of a key: each part of it escaped, so that it never leaves the base.

        Raises
        ------
        ValueError
            If a part is ``.`` or ``..``, which a server or proxy on the way would resolve, escaped or not.
        """
        if any(part in (".", "..") for part in SEPARATORS.split(key)):
            raise ValueError(f"the key {key!r} has a part '.' or '..', which would leave {self.base!r}: name what lies "
                             "below it")
        url = f"{self.base}/{quote(key, safe='/')}"
        if len(url) > LONGEST:
            raise KeyTooLongError(f"the key {key[:40]!r}... makes a URL of {len(url)} bytes, and servers take "
                                  f"{LONGEST}: shorten it")
        return url


def place_of(url: str) -> Place:
    """Take the option ``url`` apart."""
    shown = redacted(url)
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigError(f"url={shown!r} is no URL: {error}") from None
    if parts.scheme not in ("http", "https") or not host:
        raise ConfigError(f"url={shown!r} names no server: write https://host/folder")
    if parts.query or parts.fragment or any(part in (".", "..") for part in unquote(parts.path).split("/")):
        raise ConfigError(f"url={shown!r} must be a folder, without '?', '#', '.' or '..': keys are put behind it")
    where = f"[{host}]" if ":" in host else host
    base = f"{parts.scheme}://{where}{'' if port is None else f':{port}'}{parts.path.rstrip('/')}"
    return Place(base, host, parts.scheme == "https", None if parts.username is None else unquote(parts.username),
                 None if parts.password is None else unquote(parts.password))


def led_to(place: Place, rule: str, url: str, location: str) -> str | None:
    """Where a redirect leads, None if only to the same name as a folder, which is no value.

    Raises
    ------
    BackendUnavailableError
        If ``rule``, the option ``redirects``, does not let it.
    """
    target = urljoin(url, location)
    parts = urlsplit(target)
    if target.partition("?")[0] == url + "/":
        return None
    wrong = ""
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
        wrong = "which is no address to be sent to"
    elif urlsplit(url).scheme == "https" and parts.scheme != "https":
        wrong = "from https to http: anybody on the way could read and change what comes"
    elif rule == "none":
        wrong = "and redirects='none': give the new place as url="
    elif rule == "host" and parts.hostname != place.host:
        wrong = "which is another host: give it as url=, or redirects='any'"
    if wrong:
        raise BackendUnavailableError(f"{url} sends to {shown(target)}, {wrong}")
    return target.partition("#")[0]


def shown(url: str) -> str:
    """A URL as it may stand in an error: without password, and without a query, which may be a signature."""
    base, mark, _ = redacted(url).partition("?")
    return f"{base}?..." if mark else base
