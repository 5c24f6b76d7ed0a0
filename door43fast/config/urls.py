"""URLs of stores: taken apart, and shown without their secrets."""

from __future__ import annotations

import re
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

from door43fast.errors import ConfigError

SECRET = re.compile(r"pass|secret|token|auth|credential|(?:^|_)key$", re.IGNORECASE)
SCHEME = re.compile(r"([a-z][a-z0-9+]+):|([A-Za-z][A-Za-z0-9+]+)://")      # in capitals it may be a folder's name


class Address(NamedTuple):
    """A URL taken apart. ``path`` is decoded and without its first slash: three slashes give a relative path, four an
    absolute one. ``base`` is the URL without its query; it may hold a password."""

    scheme: str
    host: str
    path: str
    base: str
    options: dict[str, str]
    shown: str


def scheme_of(target: Any) -> str | None:
    """The scheme of a URL, None if it is none."""
    match = SCHEME.match(target) if isinstance(target, str) else None
    return (match[1] or match[2].lower()) if match else None


def parse(url: str) -> Address:
    """Take ``url`` apart; an option given twice is refused, and so is what would be left out silently."""
    parts = urlsplit(url)
    if parts.fragment and not parts.netloc:
        raise ConfigError(f"{redacted(url)!r} holds a #, at which the path of a URL ends: write %23 for one in a path")
    options: dict[str, str] = {}
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name in options:
            raise ConfigError(f"{redacted(url)!r} gives {name!r} twice: give it once")
        options[name] = value
    return Address(parts.scheme, parts.netloc, unquote(parts.path.removeprefix("/")), url.partition("?")[0], options,
                   redacted(url))


def redacted(url: str) -> str:
    """The URL with stars for its password, and for options that are secrets by their name.

    A password may hold any sign, also one that should have been written as ``%40``: what stands between the user and
    the last @ is hidden.
    """
    base, mark, query = url.partition("?")
    if "@" in query and "@" not in base and re.match(r"[^/]*//[^/@:]*:", base):
        base, mark, query = url, "", ""
    kept = [f"{one.partition('=')[0]}=***" if SECRET.search(one.partition("=")[0]) else one
            for one in query.split("&")]
    return re.sub(r"//([^/@:]*):.*@", r"//\1:***@", base) + mark + "&".join(kept)
