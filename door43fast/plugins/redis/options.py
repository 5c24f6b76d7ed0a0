"""The options of the Redis backend, and what its URL says."""

from __future__ import annotations

import re
from typing import Annotated, Any, NamedTuple
from urllib.parse import unquote, urlsplit

from msgspec import Meta

from door43fast.config import Duration, Size, redacted
from door43fast.errors import ConfigError
from door43fast.plugins import BackendOptions

PORT = 6379
HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]@,/]+)(?::(\d{1,5}))?")
SCHEMES = ("redis", "rediss", "redis+cluster")
NAMESPACE = re.compile(r"[^:{}\0]+")


class RedisOptions(BackendOptions, kw_only=True):
    """The options of ``RedisStore``."""

    url: Annotated[str, Meta(min_length=1, extra={"secret": True}, description=(
        "`redis://user:password@host:6379/0`, `rediss://` with TLS, or `redis+cluster://host:7000,host:7001`."))]
    namespace: Annotated[str, Meta(description=(
        "What its keys in Redis begin with, before a colon; no other is read, written or cleared."))] = "d43"
    connect_timeout: Annotated[Duration, Meta(description="How long to wait for a connection.")] = 2.0
    timeout: Annotated[Duration, Meta(description=(
        "How long to wait for an answer, and for a cluster to have a primary again."))] = 5.0
    retries: Annotated[int, Meta(ge=0, le=100, description=(
        "How often a read is asked again after a lost connection; a write that may have been made never is."))] = 2
    connections: Annotated[int, Meta(ge=1, le=10000, description="The most connections to each server.")] = 16
    batch_keys: Annotated[int, Meta(ge=1, le=100000, description="The most keys that are sent at once.")] = 1000
    batch_bytes: Annotated[Size, Meta(description="The most bytes that are sent at once, a single value aside.")] = (
        1 << 20)
    wait_replicas: Annotated[int, Meta(ge=0, le=100, description=(
        "How many replicas must have a write before it is acknowledged."))] = 0
    wait_timeout: Annotated[Duration, Meta(description=(
        "How long to wait for them, before `BackendUnavailableError`."))] = 1.0
    staleness: Annotated[Duration, Meta(description=(
        "The longest that a memory tier above gives what others have overwritten."))] = 1.0
    readonly: Annotated[bool, Meta(description="Refuse every write.")] = False
    tls_ca: Annotated[str | None, Meta(description=(
        "File with the certificates to trust under TLS; those of the system if not given."))] = None
    tls_cert: Annotated[str | None, Meta(description="File with the client's own certificate.")] = None
    tls_key: Annotated[str | None, Meta(description="File with the key of that certificate.")] = None
    tls: Annotated[bool, Meta(description="TLS, as by `rediss://`: for a cluster.")] = False


class Server(NamedTuple):
    """Where a server listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Place(NamedTuple):
    """What a URL says."""

    servers: tuple[Server, ...]
    db: int
    username: str | None
    password: str | None
    tls: bool
    cluster: bool

    def __str__(self) -> str:
        scheme = "redis+cluster" if self.cluster else "rediss" if self.tls else "redis"
        return f"{scheme}://{','.join(map(str, self.servers))}{'' if self.cluster else f'/{self.db}'}"


def place_of(options: RedisOptions) -> Place:
    """What the URL and the options say together; no error shows the password."""
    shown = redacted(options.url)
    parts = urlsplit(options.url)
    if parts.scheme not in SCHEMES:
        raise ConfigError(f"url={shown!r} has the scheme {parts.scheme!r}: it may be {', '.join(SCHEMES)}")
    if parts.query or parts.fragment:
        raise ConfigError(f"url={shown!r} ends in options: give them beside it, or the whole to open()")
    user, at, hosts = parts.netloc.rpartition("@")
    name, _, word = user.partition(":")
    cluster = parts.scheme == "redis+cluster"
    servers = []
    for host in hosts.split(",") if cluster else [hosts]:
        match = HOST.fullmatch(host)
        if match is None or int(match[2] or PORT) > 65535:
            raise ConfigError(f"url={shown!r} names no server: write {parts.scheme}://host:{PORT}"
                              f"{',host2:6380' if cluster else '/0'}, with %40 for an @ in a password")
        servers.append(Server(unquote(match[1].strip("[]")), int(match[2] or PORT)))
    db = parts.path.strip("/")
    if db and (not db.isdecimal() or cluster and int(db)):
        raise ConfigError(f"url={shown!r} names the database {db!r}: " + (
            "a cluster has but 0" if cluster else "it is a number, such as the 0 in redis://host/0"))
    place = Place(tuple(servers), int(db or 0), unquote(name) or None, unquote(word) if at and word else None,
                  options.tls or parts.scheme == "rediss", cluster)
    _check(options, place)
    return place


def _check(options: RedisOptions, place: Place) -> None:
    if not NAMESPACE.fullmatch(options.namespace):
        raise ConfigError(f"namespace={options.namespace!r} must have a character, and none of : {{ }} and NUL: two "
                          "namespaces would hold each other's keys")
    for name in ("connect_timeout", "timeout", "staleness", "wait_timeout", "batch_bytes"):
        if not getattr(options, name):
            raise ConfigError(f"{name}=0 leaves no time or room: give more")
    if options.wait_replicas and options.wait_timeout >= options.timeout:
        raise ConfigError(f"wait_timeout={options.wait_timeout:g} must be less than timeout={options.timeout:g}")
    for name in ("tls_ca", "tls_cert", "tls_key"):
        if getattr(options, name) is not None and not place.tls:
            raise ConfigError(f"{name} has no effect without TLS: write rediss://, or pass tls=True")
    if (options.tls_cert is None) != (options.tls_key is None):
        raise ConfigError("tls_cert and tls_key belong together: give both")


def tls_arguments(options: RedisOptions) -> dict[str, Any]:
    """How redis-py is told of TLS: certificates and host names are always checked."""
    return {"ssl_cert_reqs": "required", "ssl_check_hostname": True, "ssl_ca_certs": options.tls_ca,
            "ssl_certfile": options.tls_cert, "ssl_keyfile": options.tls_key}
