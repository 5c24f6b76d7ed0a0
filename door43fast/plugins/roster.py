"""Which backends there are by name, and which stores of each are open.

A plugin is a class, or any object, with ``Options`` (a schema) and ``open(options)`` (an open store). It is named by
an entry point of the group ``door43fast.plugins``, which is also its type in a plan and its scheme in a URL; a plus in
these is a dot there, since packaging tools warn of others. Our own are entry points too, and stand in a table besides:
so they work from a source tree and in a frozen program, and need no search. The entry points are read once, when a name
is first asked for that is not in the table, and a plugin is imported when it is first used.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Mapping
from importlib import import_module
from typing import Any, Literal, NamedTuple

from door43fast.config import checked
from door43fast.errors import BackendUnavailableError, ConfigError, did_you_mean

GROUP = "door43fast.plugins"
OWN = {
    "memory": "door43fast.plugins.memory:MemoryPlugin",
    "lmdb": "door43fast.plugins.lmdb:LmdbPlugin",
    "sqlite": "door43fast.plugins.sqlite:SqliteStore",
    "filesystem": "door43fast.plugins.filesystem:FilesystemStore",
    "file": "door43fast.plugins.filesystem:FilesystemStore",
    "redis": "door43fast.plugins.redis:RedisStore",
    "rediss": "door43fast.plugins.redis:RedisStore",
    "redis+cluster": "door43fast.plugins.redis:RedisStore",
    "asyncstorage": "door43fast.plugins.asyncstorage:AsyncStorageStore",
    "http": "door43fast.plugins.http:HttpStore",
    "https": "door43fast.plugins.http:HttpStore",
}
OURS = "door43fast"
EXTRAS = {"redis": "redis", "rediss": "redis", "redis+cluster": "redis", "http": "http", "https": "http"}


class Holder(NamedTuple):
    """Who brings a plugin: ``target`` is ``module:name`` or the object itself, ``source`` the package or the call."""

    name: str
    target: Any
    source: str
    extras: tuple[str, ...] = ()


class PluginError(BackendUnavailableError):
    """A plugin cannot be used here: ``reason`` and ``remedy``."""

    passing = False

    def __init__(self, name: str, reason: str, remedy: str) -> None:
        super().__init__(f"the backend {name!r} cannot be used: {reason}; {remedy}")
        self.name, self.reason, self.remedy = name, reason, remedy

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.name, self.reason, self.remedy)


class About(NamedTuple):
    """What is known of a plugin. ``reason`` and ``remedy`` say why it cannot be used and what to do, or are empty."""

    name: str
    source: str
    available: bool
    reason: str
    remedy: str
    live: int


class Registry:
    """Plugins by name. There is one by default, ``door43fast.plugins.registry``; others are independent of it.

    Parameters
    ----------
    discover : bool
        Also know our own plugins and those that installed packages declare.

    Every method may be called from any thread.
    """

    def __init__(self, *, discover: bool = True) -> None:
        self._lock = threading.RLock()      # held for tables only: never while a plugin's code runs
        self._holders: dict[str, Holder] = {}
        self._rivals: dict[str, list[Holder]] = {}      # of a name that two packages claim
        self._loaded: dict[str, Any] = {}
        self._live: dict[str, weakref.WeakSet[Any]] = {}
        self._draining: set[str] = set()
        self._searched = not discover
        if discover:
            self._holders.update({name: Holder(name, target, OURS) for name, target in OWN.items()})

    # -- who is there ----------------------------------------------------------------------------------------

    def register(self, name: str, plugin: Any, *,
                 duplicate: Literal["error", "replace", "keep"] = "error") -> None:
        """Make ``plugin`` known as ``name``.

        Parameters
        ----------
        name : str
            Its type in a plan, and its scheme in a URL.
        plugin : object or str
            Something with ``Options`` and ``open(options)``, or ``"module:name"``, which is imported on first use.
        duplicate : {"error", "replace", "keep"}
            What happens where the name is taken: a ``ConfigError`` that names both holders; the new one takes its
            place, and stores that are open stay so; or the old one stays.
        """
        if duplicate not in ("error", "replace", "keep"):
            raise ConfigError(f"duplicate={duplicate!r} is unknown: "
                              f"{did_you_mean(duplicate, ['error', 'replace', 'keep'])}")
        if not isinstance(name, str) or not name or not name.replace("+", "").isalnum() or name != name.lower():
            raise ConfigError(f"{name!r} cannot name a plugin: give lower-case letters and digits, as in a URL")
        if not isinstance(plugin, str):
            _check(name, plugin)
        holder = Holder(name, plugin, f"register({name!r}, {plugin if isinstance(plugin, str) else _title(plugin)})")
        if name not in self._holders:
            self._search()
        with self._lock:
            held = self._holders.get(name)
            if held is not None and duplicate == "error":
                raise ConfigError(f"the plugin {name!r} is held by {held.source} already, so {holder.source} was "
                                  "refused: pass duplicate='replace' or 'keep', or take another name")
            if held is None or duplicate == "replace":
                self._holders[name] = holder
                self._rivals.pop(name, None)
                self._loaded.pop(name, None)
                self._draining.discard(name)

    def names(self) -> list[str]:
        """The names of all plugins, whether they can be used or not."""
        self._search()
        with self._lock:
            return sorted(self._holders)

    def about(self, name: str) -> About:
        """What is known of a plugin; imports it, and never raises for what hinders it."""
        holder = self._holder(name)
        reason = remedy = ""
        try:
            self.get(name)
        except PluginError as error:
            reason, remedy = error.reason, error.remedy
        except ConfigError as error:
            reason, remedy = str(error), "see docs/plugins.md"
        return About(name, holder.source, not reason, reason, remedy, len(self.live(name)))

    def get(self, name: str) -> Any:
        """The plugin, imported.

        Raises
        ------
        ConfigError
            If no plugin has this name, or two packages claim it.
        BackendUnavailableError
            If it cannot be used here, with the reason and what to do.
        """
        with self._lock:
            if name in self._loaded:
                return self._loaded[name]
        holder = self._holder(name)
        if name in self._rivals:
            both = " and ".join(one.source for one in [holder, *self._rivals[name]])
            raise ConfigError(f"the plugin {name!r} is claimed by {both}: uninstall one, or call "
                              f"registry.register({name!r}, ..., duplicate='replace') with the one that you mean")
        plugin = self._load(holder)
        with self._lock:
            if self._holders.get(name) is holder:
                plugin = self._loaded.setdefault(name, plugin)
        return plugin

    def _holder(self, name: str) -> Holder:
        if name not in self._holders:
            self._search()
        with self._lock:
            holder = self._holders.get(name)
            known = list(self._holders)
        if holder is not None:
            return holder
        raise ConfigError(f"{name!r} is no known backend: {did_you_mean(name, known)}")

    def _search(self) -> None:
        """Read the entry points, once."""
        if self._searched:
            return
        from importlib.metadata import entry_points

        found = [Holder(entry.name.replace(".", "+"), entry.value, entry.dist.name if entry.dist else "an entry point",
                        tuple(entry.dist.metadata.get_all("Provides-Extra") or ()) if entry.dist else ())
                 for entry in entry_points(group=GROUP)]
        with self._lock:
            if self._searched:
                return
            for holder in found:
                held = self._holders.setdefault(holder.name, holder)
                # Ours and what was registered by a call keep their names; a second package is a rival of the first.
                if held.target != holder.target and held.source != OURS and not held.source.startswith("register("):
                    self._rivals.setdefault(holder.name, []).append(holder)
            self._searched = True

    @staticmethod
    def _load(holder: Holder) -> Any:
        if not isinstance(holder.target, str):
            return _usable(holder, holder.target)
        module, _, attribute = holder.target.partition(":")
        try:
            plugin: Any = import_module(module)
            for part in filter(None, attribute.split(".")):
                plugin = getattr(plugin, part)
        except ImportError as error:
            lacking = (getattr(error, "name", None) or "").split(".")[0]
            ours = EXTRAS.get(holder.name, "") if holder.source == OURS else ""
            extra = holder.name if holder.name in holder.extras else ours
            install = f"{holder.source}[{extra}]" if extra else lacking or holder.source
            raise PluginError(holder.name, str(error), f"install {install}") from error
        except Exception as error:
            raise PluginError(holder.name, f"importing it from {holder.source} raised {type(error).__name__} ({error})",
                              f"mend or uninstall {holder.source}") from error
        _check(holder.name, plugin)
        return _usable(holder, plugin)

    # -- stores ----------------------------------------------------------------------------------------------

    def open(self, name: str, options: Mapping[str, Any], where: str = "open()", *, from_text: bool = False) -> Any:
        """Check ``options`` by the plugin's schema and open a store, which is then one of its live ones."""
        plugin = self.get(name)
        settings = checked(plugin.Options, options, where, from_text=from_text)
        with self._lock:
            self._refuse_draining(name)
        store = plugin.open(settings)
        with self._lock:
            refused = name in self._draining
            if not refused:
                self._live.setdefault(name, weakref.WeakSet()).add(store)
        if refused:
            store.close()
            self._refuse_draining(name)
        return store

    def _refuse_draining(self, name: str) -> None:
        if name in self._draining:
            raise PluginError(name, "it is being unregistered", "register it again when that has ended")

    def live(self, name: str) -> list[Any]:
        """The stores of a plugin that are open, by whoever holds them."""
        with self._lock:
            stores = list(self._live.get(name, ()))
        return [store for store in stores if not store.closed]

    def unregister(self, name: str, *, stores: Literal["refuse", "drain", "detach"] = "refuse",
                   timeout: float = 10.0) -> None:
        """Forget a plugin.

        Parameters
        ----------
        name : str
            Its name.
        stores : {"refuse", "drain", "detach"}
            What happens where stores of it are open: a ``ConfigError``; nothing new is opened and the open ones are
            waited for; or they stay open, and the registry knows them no longer.
        timeout : float
            Seconds to wait under "drain"; then ``BackendUnavailableError``, and the plugin is usable again.
        """
        if stores not in ("refuse", "drain", "detach"):
            raise ConfigError(f"stores={stores!r} is unknown: {did_you_mean(stores, ['refuse', 'drain', 'detach'])}")
        self._holder(name)
        with self._lock:
            self._draining.add(name)    # nothing new is opened from here on
        end = time.monotonic() + timeout
        while stores != "detach" and (count := len(self.live(name))):
            if stores == "drain" and time.monotonic() < end:
                time.sleep(0.005)
                continue
            with self._lock:
                self._draining.discard(name)
            if stores == "refuse":
                raise ConfigError(f"the plugin {name!r} has {count} open stores: close them, or pass stores='drain' or "
                                  "'detach'")
            raise BackendUnavailableError(f"the plugin {name!r} cannot be unregistered: {count} stores were still open "
                                          f"after {timeout} seconds; close them and try again")
        with self._lock:
            self._forget(name)

    def _forget(self, name: str) -> None:
        for table in (self._holders, self._rivals, self._loaded, self._live):
            table.pop(name, None)       # type: ignore[attr-defined]
        self._draining.discard(name)


def _check(name: str, plugin: Any) -> None:
    lacking = [what for what in ("Options", "open") if not callable(getattr(plugin, what, None))]
    if lacking:
        raise ConfigError(f"{_title(plugin)} is no plugin, as which {name!r} names it: it lacks "
                          f"{' and '.join(lacking)}; inherit door43fast.plugins.Backend")


def _usable(holder: Holder, plugin: Any) -> Any:
    """The plugin, if nothing that it knows of hinders it: ``unavailable()`` gives None, or a reason and a remedy."""
    hindrance = plugin.unavailable() if hasattr(plugin, "unavailable") else None
    if hindrance is not None:
        reason, remedy = hindrance
        raise PluginError(holder.name, reason, remedy)
    return plugin


def _title(plugin: Any) -> str:
    kind = plugin if isinstance(plugin, type) else type(plugin)
    return f"{kind.__module__}.{kind.__qualname__}"


registry = Registry()
