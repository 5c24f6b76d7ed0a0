"""What ``door43fast selftest`` tries. Each trial takes an empty folder, and says in a few words what it did."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import door43fast as d43
from door43fast.cli import machine
from door43fast.cli.program import Unsound
from door43fast.errors import BackendUnavailableError

# Titus 1:1-4, American Standard Version, in the public domain; and notes on it of our own.
VERSES = (
    "Paul, a servant of God, and an apostle of Jesus Christ, according to the faith of God's elect, and the knowledge "
    "of the truth which is according to godliness,",
    "in hope of eternal life, which God, who cannot lie, promised before times eternal;",
    "but in his own seasons manifested his word in the message, wherewith I was intrusted according to the commandment "
    "of God our Saviour;",
    "to Titus, my true child after a common faith: Grace and peace from God the Father and Christ Jesus our Saviour.",
)
USFM = "\\id TIT American Standard Version\n\\h Titus\n\\c 1\n\\p\n" + "".join(
    f"\\v {number} {verse}\n" for number, verse in enumerate(VERSES, 1))
NOTES = ("Reference\tID\tTags\tSupportReference\tQuote\tOccurrence\tNote\n"
         "1:1\tab12\t\t\tδοῦλος Θεοῦ\t1\tPaul names himself by whom he serves.\n"
         "1:4\tcd34\t\t\tγνησίῳ τέκνῳ\t1\tTitus came to the faith by Paul.\n")
MANIFEST = ("dublin_core:\n  identifier: {0}\n  language:\n    identifier: en\n  subject: {1}\n  title: Selftest {0}\n"
            "  version: '1'\n  format: {2}\nprojects:\n- identifier: tit\n  path: ./{3}\n  title: Titus\n  sort: 57\n")

PLACES = {"asyncstorage": "RKStorage"}     # what its file is to be called
ALSO = {"asyncstorage": {"form": "android"}}    # what a backend must be told beside a path


def check(holds: Any, what: str) -> None:
    if not holds:
        raise Unsound(what)


def exercise(store: Any) -> str:
    """The everyday calls of any store, each looked at."""
    can = store.capabilities
    values = {f"TIT 1:{number}": verse for number, verse in enumerate(VERSES, 1)}
    values |= {"bytes": bytes(range(256)) * 40, "number": 7, "list": [1, "two", None], "none": None}   # type: ignore
    store.set_many(values)
    check(store.get_many([*values, "missing"]) == [*values.values(), None], "get_many gave something else than was set")
    check("none" in store and "missing" not in store, "a stored None and a miss are not told apart")
    check(store.incr("number", 3) == 10 and store.add("number", 1) is False, "incr or add gave the wrong number")
    check(store.delete("bytes") is True and store.get("bytes") is None, "a deleted key is still there")
    if can.ordered:
        found = [value for _, value in store.scan("TIT 1:")]
        check(found == list(VERSES), "scan gave something else than was set, or in another order")
    if can.ttl:
        store.set("soon", 1, ttl=3600)
        check(3590 < store.ttl("soon") <= 3601, "the time to live is not the one that was set")
        store.set("gone", 1, ttl=0)
        check("gone" not in store, "what has expired at once is still there")
    if can.transactions:
        try:
            with store.transaction() as t:
                t["a"] = 1
                raise LookupError
        except LookupError:
            pass
        check("a" not in store, "a transaction that was broken off has written")
        with store.transaction() as t:
            t["a"] = t.get("number") + 1
        check(store["a"] == 11, "a transaction has not written")
    if can.compute:
        check(store.get_or_compute("computed", lambda: 5) == 5 == store["computed"], "get_or_compute did not store")
    store.flush()
    if can.listing:
        check(store.verify()["errors"] == [], "verify found errors")
    return f"{len(values)} values set, read, changed and checked"


def native(_: Path) -> str:
    states = machine.native()
    lacking = [f"{name} ({state})" for name, state in states.items() if state != "loaded"]
    check(not lacking, f"the native core lacks {', '.join(lacking)}: reinstall door43fast")
    return ", ".join(f"{name} {version}" for name, version in machine.libraries().items())


def memory(_: Path) -> str:
    with d43.MemoryStore(max_entries=100) as store:
        said = exercise(store)
        for number in range(1000):
            store[f"k{number}"] = number
        check(len(store) == 100 and store["k999"] == 999, "a store of 100 entries did not keep 100, or lost the last")
    return said


def lmdb(folder: Path) -> str:
    with d43.LmdbStore(folder / "s", journal=True) as store:
        exercise(store)
        check(next(store.changes()).seq == 1, "the journal does not begin with the first change")
        store.backup(folder / "copy")
        kept = dict(store.items())
    for place in ("s", "copy"):
        with d43.LmdbStore(folder / place) as again:
            check(dict(again.items()) == kept and again.verify()["errors"] == [], f"{place} is not as it was closed")
    return f"{len(kept)} records, closed, opened again, copied, verified"


def cascade(folder: Path) -> str:
    with d43.open(folder / "s") as store:
        exercise(store)
        before = store.stats()["layers"][0]["hits"]
        check(store["TIT 1:1"] == store.get("TIT 1:1") == VERSES[0], "memory over LMDB gave another value")
        check(store.stats()["layers"][0]["hits"] > before, "a value that was just read is not in the memory tier")
    return "memory over LMDB; what was read once came from memory"


def watching(_: Path) -> str:
    with d43.MemoryStore() as store, store.subscribe(prefix="a/", queue=10) as events:
        store["a/1"], store["b"] = 1, 2
        del store["a/1"]
        told = [events.get(5).op, events.get(5).op]
        check(told == ["set", "delete"] and not len(events), f"set and delete were told as {told}")
    return "a subscription by prefix, read from a queue"


def awaited(folder: Path) -> str:
    async def main() -> None:
        async with d43.LmdbStore(folder / "s").aio as store:
            await asyncio.gather(*[store.set(f"k{number}", number) for number in range(50)])
            check([value async for _, value in store.scan()] == sorted(range(50), key=str), "the scan is not complete")
    asyncio.run(main())
    return "50 writes at once, and a scan"


def metrics(_: Path) -> str:
    with d43.MemoryStore() as store:
        store["a"] = 1
        store.measure(1)
        for _number in range(100):
            store.get("a")
        found = store.metrics().total
        check(found.counters["hits"] == 100 and found.latency["get"].measured == 100, "hits were not counted, or timed")
        return f"get takes {found.latency['get'].p50 * 1e9:.0f} ns here (median of 100)"


def exported(_: Path) -> str:
    from door43fast.metrics import exporter

    with d43.MemoryStore() as store, exporter(selftest=store) as served:
        store.get("missing")
        with urlopen(f"http://{served.address}:{served.port}/metrics", timeout=30) as answer:
            text = answer.read().decode()
        check('door43fast_misses_total{backend="memory",layer="all",store="selftest"} 1.0' in text
              or 'door43fast_misses_total{store="selftest",layer="all",backend="memory"} 1.0' in text,
              "the exporter did not tell of a miss")
    return "scraped over HTTP"


def plugin(name: str) -> Callable[[Path], str]:
    def trial(folder: Path) -> str:
        from door43fast.config import fields
        from door43fast.plugins import registry

        options = fields(registry.get(name).Options)
        if "path" in options:
            with registry.open(name, {"path": str(folder / PLACES.get(name, "s")), **ALSO.get(name, {})}) as store:
                return exercise(store)
        if any(option.required for option in options.values()):
            raise BackendUnavailableError(f"it needs to be told where: run door43fast selftest --store {name}://...")
        with registry.open(name, {}) as store:
            return exercise(store)
    return trial


def resources(folder: Path) -> str:
    """Import, export, and a passage, of two containers written here."""
    try:
        import yaml  # noqa: F401
    except ImportError as error:
        raise BackendUnavailableError("manifests need PyYAML: run pip install 'door43fast[door43]'") from error
    from door43fast.resources import export_resources, import_resources, passage

    for name, subject, kind, file, text in (("asv", "Bible", "text/usfm", "57-TIT.usfm", USFM),
                                            ("tn", "TSV Translation Notes", "text/tsv", "tn_TIT.tsv", NOTES)):
        source = folder / f"en_{name}@v1"
        source.mkdir()
        (source / file).write_text(text, encoding="utf-8")
        (source / "manifest.yaml").write_text(MANIFEST.format(name, subject, kind, file), encoding="utf-8")
    sources = [folder / "en_asv@v1", folder / "en_tn@v1"]
    with d43.LmdbStore(folder / "s", durability="batch") as store:
        import_resources(store, sources)
        found = {record.kind for record in passage(store, "TIT 1:1")}
        check({"text", "note"} <= found, f"TIT 1:1 gave {', '.join(sorted(found)) or 'nothing'}")
        export_resources(store, folder / "out")
    files = 0
    for source in sources:
        back = next((folder / "out").glob(f"*/{source.name.replace('@v', '@')}"))
        for file in source.iterdir():
            check((back / file.name).read_bytes() == file.read_bytes(), f"{file.name} did not come back byte for byte")
            files += 1
    return f"{files} files imported, a passage found, exported byte for byte"


def all_trials() -> Iterator[tuple[str, Callable[[Path], str]]]:
    """The trials by the names of the parts."""
    from door43fast.plugins import registry

    yield "native core", native
    yield "memory", memory
    yield "lmdb", lmdb
    yield "memory over lmdb", cascade
    yield "events", watching
    yield "event loops", awaited
    yield "metrics", metrics
    yield "prometheus", exported
    for name in registry.names():
        yield f"backend {name}", plugin(name)
    yield "import, export, passage", resources
