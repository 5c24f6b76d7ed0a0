"""Compressed verses: what they take on disk, and reading them on two threads beside PyPI's zstandard.

The verses are those of the aligned English text where the real data lies beside the project, else made up alike. A
quarter of them trains the dictionary, and zstandard reads what it compressed by the same dictionary out of a dict.
"""

from __future__ import annotations

import random
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import door43fast as d43
from door43fast.cli.sample import BESIDE

from benchmarks.compare.lmdb import directory
from benchmarks.interleave import CONTROL, OURS, Contender, Result, interleave

ARCHIVE = Path(BESIDE, "archives", "en_ult_v83.zip")
WORDS = "ὁ καί αὐτός σύ δέ ἐν ἐγώ εἰμί λέγω εἰς οὐ ὅς οὗτος θεός ὅτι".split()


def made_up(count: int) -> Iterator[bytes]:
    rng = random.Random(1)
    for _ in range(count):
        words = []
        for n in range(rng.randrange(10, 30)):
            word = rng.choice(WORDS)
            words.append(f'\\zaln-s |x-strong="G{rng.randrange(9999):04}0" x-lemma="{word}" x-morph="Gr,N,,,,,NMS," '
                         f'x-occurrence="{n % 3 + 1}" x-occurrences="3" x-content="{word}"\\*\\w word'
                         f'{rng.randrange(500)}|x-occurrence="1" x-occurrences="1"\\w*\\zaln-e\\*')
        yield "\n".join(words).encode()


def real() -> Iterator[bytes]:
    with zipfile.ZipFile(ARCHIVE) as source:
        for name in sorted(source.namelist()):
            if name.endswith(".usfm"):
                for chapter in source.read(name).split(b"\\c ")[1:]:
                    yield from (b"\\v " + verse for verse in chapter.split(b"\\v ")[1:])


def verses(quick: bool) -> dict[str, bytes]:
    found = list(real() if ARCHIVE.exists() else made_up(20_000))
    return {f"verse {i:05}": verse for i, verse in enumerate(found[:5000] if quick else found)}


@contextmanager
def trained(held: dict[str, bytes]) -> Iterator[d43.LmdbStore]:
    with directory() as base, d43.LmdbStore(base / "ours", compression="zstd", durability="none") as store:
        store.train(samples=list(held.values())[::4])
        store.set_many(held)
        yield store


def size(quick: bool) -> Result:
    held = verses(quick)
    raw = sum(map(len, held.values()))
    result = Result(f"file of {len(held):,} aligned verses", "bytes a verse")
    with trained(held) as store:
        result.samples = {name: [raw / len(held)] for name in (CONTROL, "raw size")}    # a dict holds them raw
        result.samples[OURS] = [store.stats()["bytes"] / len(held)]
    return result


def read(quick: bool) -> Result:
    held = verses(quick)
    wanted = list(held)
    random.Random(2).shuffle(wanted)
    half = len(wanted) // 2

    def twice(work: Callable[[list[str]], Any]) -> Callable[[Any], None]:
        def both(_: Any) -> None:
            threads = [threading.Thread(target=work, args=(part,)) for part in (wanted[:half], wanted[half:])]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        return both

    with trained(held) as store:
        contenders = [Contender(CONTROL, twice(lambda part: [held[key] for key in part])),
                      Contender(OURS, twice(store.get_many)), Contender("get_packed", twice(store.get_packed))]
        missing = []
        try:
            import zstandard
        except ImportError:
            missing = ["zstandard"]
        else:
            samples = list(held.values())[::4]
            table = zstandard.train_dictionary(1 << 18, samples)
            table.precompute_compress(level=3)
            packer = zstandard.ZstdCompressor(level=3, dict_data=table)
            packed = {key: packer.compress(value) for key, value in held.items()}

            def peer(part: list[str]) -> list[bytes]:
                unpacker = zstandard.ZstdDecompressor(dict_data=table)
                return [unpacker.decompress(packed[key]) for key in part]

            contenders.append(Contender("zstandard", twice(peer)))
        return interleave(f"read {len(wanted):,} compressed verses on two threads", contenders, len(wanted), 5, missing)


CASES: dict[str, Callable[[bool], Result]] = {"compressed_size": size, "compressed_read": read}
