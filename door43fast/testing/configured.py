"""The conformance suite for a backend that is given by a URL or a path, each test with an empty store of its own."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

import door43fast as d43
from door43fast.config import fields
from door43fast.config.urls import parse, redacted, scheme_of
from door43fast.contracts import Capabilities
from door43fast.errors import ConfigError
from door43fast.plugins import registry
from door43fast.testing.conformance import StoreConformance

RUN = os.urandom(6).hex()


class Configured:
    """How the stores of ``target`` are made; :func:`configured` joins it to the suite."""

    target: str
    folder: Path
    fresh_name: Any

    @pytest.fixture(autouse=True)
    def _swept(self) -> Any:
        """What a server was given is taken out again."""
        self.made: list[Any] = []
        yield
        for place in self.made:
            sweep(self.target, place)

    def make_store(self, **options: Any) -> Any:
        place = self.folder / self.fresh_name()
        self.made.append(place)
        return opened(self.target, place, **options)

    def open_backup(self, path: Any) -> Any:
        return opened(self.target, path)


def opened(target: str, place: Path, **options: Any) -> Any:
    """An empty store of the kind that ``target`` names, at a place of its own: a path, a namespace, or emptied."""
    scheme = scheme_of(target)
    if scheme is None:
        return d43.open(place, **options)
    address = parse(target)
    own = fields(registry.get(scheme).Options)
    if "path" in own:
        query = f"?{urlencode(address.options)}" if address.options else ""
        return d43.open(f"{scheme}:///{place}{query}", **options)
    if "namespace" in own and "namespace" not in address.options:
        return d43.open(target, namespace=f"selftest-{RUN}-{place.parent.name}-{place.name}", **options)
    store = d43.open(target, **options)
    if scheme != "memory":
        store.clear()
    return store


def sweep(target: str, place: Path) -> None:
    """Leave nothing of a store in a namespace of its own."""
    scheme = scheme_of(target)
    if scheme is not None and "namespace" in fields(registry.get(scheme).Options):
        with opened(target, place) as store:
            store.clear()


def configured(target: str) -> type:
    """The test class for ``target``.

    Raises
    ------
    ConfigError
        If the backend has no places of its own for each test, and holds anything: the suite would clear it.
    """
    scheme = scheme_of(target)
    own = fields(registry.get(scheme).Options) if scheme is not None else {"clock": None}
    if scheme not in (None, "memory") and "path" not in own and "namespace" not in own:
        with d43.open(target) as store:
            if not store.capabilities.listing or len(store):
                raise ConfigError(f"{redacted(target)} is not empty, and the suite would clear it: name an empty one")
    with tempfile.TemporaryDirectory(prefix="door43fast-selftest-") as folder:
        store = opened(target, Path(folder) / "s")
        can: Capabilities = store.capabilities
        store.close()
        sweep(target, Path(folder) / "s")
    return type("TestConfigured", (Configured, StoreConformance), {
        "target": target, "capabilities": can, "timed": "clock" in own, "__doc__": f"{redacted(target)} conforms."})
