"""Import: containers cut into records and written so that a repository is there whole, or not at all."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator

import msgspec

from door43fast.contracts import Store
from door43fast.errors import ConfigError, SourceError
from door43fast.resources import keys
from door43fast.resources.index import Index
from door43fast.resources.layout import lay_out
from door43fast.resources.sources import MOST_BYTES, Container, open_source

BATCH_RECORDS = 4096
BATCH_BYTES = 8 << 20

# Called with the bytes read so far, the bytes in all, and the name of the repository being read.
Progress = Callable[[int, int, str], None]


class Repository(msgspec.Struct, frozen=True):
    """What the store holds of one repository: written last at import, so that its presence says "whole"."""

    name: str
    identifier: str
    title: str
    origin: str
    files: int
    records: int
    bytes: int
    imported: float


class Report(msgspec.Struct, frozen=True):
    """What one import did: the repository as it is now, and how many records were written, kept and deleted."""

    repository: Repository
    written: int
    unchanged: int
    deleted: int
    replaced: bool
    seconds: float


def repositories(store: Store) -> list[Repository]:
    """The repositories in a store, in the order of their keys."""
    return [msgspec.json.decode(data, type=Repository) for _, data in store.scan(keys.REPOSITORIES)]


class _Reader:
    """Turns a container into records: first those of its files, then the index, then the repository itself."""

    def __init__(self, container: Container, progress: Callable[[int], None]) -> None:
        self.container = container
        self.name = container.identity.name
        self._progress = progress

    def records(self) -> Iterator[tuple[str, bytes]]:
        name, identity = self.name, self.container.identity
        index = Index()
        orders = []
        count = size = 0
        for entry in self.container.entries:
            data = entry.read()
            layout = lay_out(entry.path, data, identity.books, identity.identifier)
            index.add(entry.path, layout)
            path = keys.quote(entry.path)
            if layout.order is not None:
                orders.append((f"{keys.ORDERS}{name}/{layout.section}/{path}", msgspec.json.encode(layout.order)))
            if layout.section:
                head, tail = f"{name}/{layout.section}/", f"#{path}"
                for place, piece, _ in layout.pieces:
                    yield f"{head}{place}{tail}", piece
            else:
                yield f"{name}/{path}", data
            count += len(layout.pieces)
            size += len(data)
            self._progress(len(data))
        yield from orders
        yield from index.records(name)
        about = Repository(
            str(name),
            identity.identifier,
            identity.title,
            self.container.origin,
            len(self.container.entries),
            count,
            size,
            time.time(),
        )
        yield f"{keys.REPOSITORIES}{name}", msgspec.json.encode(about)


def _prefixes(name: keys.Name) -> tuple[str, ...]:
    return f"{name}/", f"{keys.ORDERS}{name}/", f"{keys.PASSAGES}{name}/"


def _batches(records: Iterable[tuple[str, bytes]]) -> Iterator[list[tuple[str, bytes]]]:
    batch: list[tuple[str, bytes]] = []
    size = 0
    for record in records:
        batch.append(record)
        size += len(record[1])
        if len(batch) >= BATCH_RECORDS or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _write_anew(store: Store, reader: _Reader) -> tuple[int, int, int]:
    """Into a store that has nothing of this repository: in batches; the last one holds the repository's record."""
    for prefix in _prefixes(reader.name):
        # An import that was killed leaves records without their repository.
        store.clear(prefix)
    written = 0
    for batch in _batches(reader.records()):
        store.set_many(batch)
        written += len(batch)
    return written, 0, 0


def _write_over(store: Store, reader: _Reader) -> tuple[int, int, int]:
    """Over an earlier import: what differs is written and what is gone deleted, in one transaction."""
    fresh = dict(reader.records())
    stale = [key for prefix in _prefixes(reader.name) for key in store.keys(prefix) if key not in fresh]
    changed = []
    for batch in _batches(fresh.items()):
        held = store.get_many([key for key, _ in batch])
        changed += [record for record, old in zip(batch, held, strict=True) if old != record[1]]
    if store.capabilities.transactions:
        with store.transaction() as transaction:
            for key in stale:
                transaction.delete(key)
            for key, data in changed:
                transaction.set(key, data)
    else:
        # Without the repository's record, which is the last of the batches, a half-done import is no repository.
        store.delete(f"{keys.REPOSITORIES}{reader.name}")
        store.delete_many(stale)
        for batch in _batches(changed):
            store.set_many(batch)
    return len(changed), len(fresh) - len(changed), len(stale)


def _import_one(store: Store, reader: _Reader) -> Report:
    started = time.perf_counter()
    about = f"{keys.REPOSITORIES}{reader.name}"
    replaced = about in store
    written, unchanged, deleted = (_write_over if replaced else _write_anew)(store, reader)
    repository = msgspec.json.decode(store[about], type=Repository)
    return Report(repository, written, unchanged, deleted, replaced, time.perf_counter() - started)


def _renamed(containers: list[Container], name: str) -> list[Container]:
    wanted = keys.name_of(name)
    if wanted is None:
        raise ConfigError(
            f"{name!r} is not a name for a repository; write owner/repository@version, such as unfoldingWord/en_ult@83"
        )
    if len(containers) != 1:
        raise ConfigError(f"the name {name} was given for {len(containers)} repositories; import them one by one")
    only = containers[0]
    return [only._replace(identity=only.identity._replace(name=wanted))]


def _refuse_twins(containers: list[Container]) -> None:
    origins: dict[keys.Name, str] = {}
    for container in containers:
        name = container.identity.name
        if name in origins:
            raise SourceError(
                f"{origins[name]} and {container.origin} are both {name}, and the second would replace the "
                "first; import one of them by itself under another name (--as owner/repository@version)"
            )
        origins[name] = container.origin


def open_sources(
    sources: Iterable[str | os.PathLike[str]],
    *,
    name: str | None = None,
    max_bytes: int = MOST_BYTES,
    skip_links: bool = False,
) -> list[Container]:
    """The containers of all sources, checked before anything is written; the options are `import_resources`'s."""
    containers = [
        container for source in sources for container in open_source(source, max_bytes=max_bytes, skip_links=skip_links)
    ]
    if name is not None:
        containers = _renamed(containers, name)
    _refuse_twins(containers)
    return containers


def import_containers(store: Store, containers: list[Container], progress: Progress | None = None) -> list[Report]:
    """Write what `open_sources` has found: the second half of `import_resources`."""
    total = sum(entry.size for container in containers for entry in container.entries)
    done = 0
    reports = []
    for container in containers:
        label = str(container.identity.name)

        def advance(size: int, label: str = label) -> None:
            nonlocal done
            done += size
            if progress is not None:
                progress(done, total, label)

        reports.append(_import_one(store, _Reader(container, advance)))
    return reports


def import_resources(
    store: Store,
    sources: Iterable[str | os.PathLike[str]],
    *,
    name: str | None = None,
    max_bytes: int = MOST_BYTES,
    skip_links: bool = False,
    progress: Progress | None = None,
) -> list[Report]:
    """Bring resource containers into a store: one record a verse, a TSV row, an article or other file, exact bytes.

    A repository that is there already in the same version is replaced in one transaction, its stale records with it;
    another version stands beside it. Nothing is written if any of the sources is refused.

    Parameters
    ----------
    store : Store
        Any store with str keys and ordered scans.
    sources : iterable of paths
        Folders, ``.zip``, ``.tar.gz``, ``.tar.xz``; each may hold several containers.
    name : str, optional
        ``owner/repository@version`` in place of what the manifest or the folder says; for a single container.
    max_bytes : int
        The most bytes that one source may expand to.
    skip_links : bool
        Leave links out instead of refusing the source.
    progress : callable, optional
        Called with bytes done, bytes in all and the repository's name after each file.

    Returns
    -------
    list of Report
        One a repository, in the order of the sources.

    Raises
    ------
    SourceError
        If a source is missing, damaged or unsafe, or two of them are the same repository in the same version.
    """
    containers = open_sources(sources, name=name, max_bytes=max_bytes, skip_links=skip_links)
    return import_containers(store, containers, progress)
