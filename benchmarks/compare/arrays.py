"""Batches of the memory store whose keys are an array, beside a dict and the index of pandas."""

from __future__ import annotations

import random
from typing import Any

import door43fast as d43

from benchmarks.interleave import CONTROL, OURS, Contender, Result, interleave
from benchmarks.workloads import SEED, drawn, keys, values


def _numbers(held: int) -> tuple[list[int], list[int]]:
    """Distinct numbers without order, and as many of them drawn at random with repetition."""
    draw = random.Random(SEED)
    stored = [number * 7919 for number in range(held)]
    draw.shuffle(stored)
    return stored, [stored[draw.randrange(held)] for _ in range(held)]


def integers(quick: bool) -> Result:
    """An int64 array of random keys, against the list comprehension over the same numbers as a list."""
    import numpy

    held = 50_000 if quick else 1_000_000
    stored, wanted = _numbers(held)
    array = numpy.array(wanted, dtype=numpy.int64)
    plain = dict(zip(stored, values(held, 32), strict=True))
    store = d43.MemoryStore(max_entries=held)
    store.set_many(plain)
    assert store.get_many(array) == [plain[key] for key in wanted]
    return interleave(f"memory get_many, int64 array of {held:,}", [
        Contender(CONTROL, lambda _: [plain[key] for key in wanted]),
        Contender(OURS, lambda _: store.get_many(array))], held, 5)


def index_step(quick: bool) -> Result:
    """Where each key stands, without the values: ``contains_many`` beside ``Index.get_indexer``."""
    import numpy

    held = 50_000 if quick else 1_000_000
    stored, wanted = _numbers(held)
    array = numpy.array(wanted, dtype=numpy.int64)
    plain = dict.fromkeys(stored)
    store = d43.MemoryStore(max_entries=held)
    store.set_many(plain)
    contenders = [Contender(CONTROL, lambda _: [key in plain for key in wanted]),
                  Contender(OURS, lambda _: store.contains_many(array))]
    missing: list[str] = []
    try:
        import pandas
    except ImportError:
        missing.append("pandas")
    else:
        index: Any = pandas.Index(numpy.array(stored, dtype=numpy.int64))
        contenders.append(Contender("pandas", lambda _: index.get_indexer(array)))
    return interleave(f"index step, int64 array of {held:,}", contenders, held, 7, missing)


def texts(quick: bool) -> Result:
    """An array of texts, against the list comprehension over what ``tolist`` makes of it."""
    import numpy

    held = 50_000 if quick else 1_000_000
    wanted = drawn(held, held)
    array = numpy.array(wanted)
    plain = dict(zip(keys(held), values(held, 32), strict=True))
    store = d43.MemoryStore(max_entries=held)
    store.set_many(plain)
    assert store.get_many(array) == [plain[key] for key in wanted]
    return interleave(f"memory get_many, text array of {held:,}", [
        Contender(CONTROL, lambda _: [plain[key] for key in array.tolist()]),
        Contender(OURS, lambda _: store.get_many(array))], held, 5)


CASES = {"memory_get_many_int64": integers, "memory_index_step": index_step, "memory_get_many_texts": texts}
