"""What may be said about a server."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from door43fast.config import Duration, Options, Size


class HttpOptions(Options, kw_only=True):
    """The options of ``HttpStore``."""

    url: Annotated[str, Meta(min_length=1, extra={"secret": True}, description=(
        "`https://user:password@host/folder`: what lies below it are the keys."))]
    codec: Annotated[Literal["raw", "text", "json"], Meta(description=(
        "What a body is: bytes, text in UTF-8, or JSON."))] = "raw"
    token: Annotated[str | None, Meta(extra={"secret": True}, description=(
        "Sent as `Authorization: Bearer`, to the host of `url` alone."))] = None
    connect_timeout: Annotated[Duration, Meta(description="How long to wait for a connection.")] = 5.0
    timeout: Annotated[Duration, Meta(description="How long to wait for the next bytes of an answer.")] = 15.0
    total_timeout: Annotated[Duration, Meta(description=(
        "How long one value may take in all, with what is asked again."))] = 300.0
    retries: Annotated[int, Meta(ge=0, le=100, description=(
        "How often to ask again after a lost connection, a timeout, or an answer that says to come later."))] = 3
    backoff: Annotated[Duration, Meta(description=(
        "Before the n-th of them any time up to this, doubled n - 1 times, is waited."))] = 0.2
    max_wait: Annotated[Duration, Meta(description=(
        "The longest of these waits, also where the server asks for one by `Retry-After`."))] = 10.0
    redirects: Annotated[Literal["host", "any", "none"], Meta(description=(
        "Where an answer may send to: the same host, any, none. Never from https to http."))] = "host"
    max_value: Annotated[Size, Meta(description="The most bytes that a body may have, unpacked.")] = 64 << 20
    cache_bytes: Annotated[Size, Meta(description=(
        "Bodies kept beside what their server said of their version, in bytes; 0 for none."))] = 16 << 20
    staleness: Annotated[Duration, Meta(description=(
        "How long a memory tier above gives what it has before the server is asked again."))] = 60.0
    connections: Annotated[int, Meta(ge=1, le=1000, description=(
        "The most connections, and so the keys of a batch that are asked for at once."))] = 16
    tls_ca: Annotated[str | None, Meta(description=(
        "File with the certificates to trust under https; those of the system if not given."))] = None
