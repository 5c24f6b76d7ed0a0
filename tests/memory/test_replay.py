"""Replays of traces make the very hits that stores make, and samples of a trace say what the whole does."""

import os
import pathlib
import random

import numpy
import pytest

import door43fast as d43
from door43fast import recordings, simulation, traces
from door43fast.errors import ConfigError
from door43fast.native.replay import Replay, number
from door43fast.reference import policies

DATA = pathlib.Path(os.environ.get("DOOR43FAST_DATA", "../shared/data/door43")).parent
REAL = {"multi3.trace.gz": (745, 74), "gli.trace.gz": (252, 2), "cs.trace.gz": (140,), "sprite.trace.gz": (707, 70),
        "loop.trace.gz": (101,), "trace_vaultservice.gz": (904,), "web12.trace.xz": (1375, 1)}
STEPS = 12_000


def trace_of(keys, **about):
    return traces.Trace(numpy.array(keys, numpy.uint64), "text", asked=len(keys), **about)


def stored_hits(policy, trace, entries):
    store = d43.MemoryStore(max_entries=entries, policy=policy)
    for key in trace:
        if store.get(key) is None:
            store[key] = 1
    return store.stats()["hits"]


@pytest.mark.parametrize("name", REAL)
def test_real_traces_are_hit_as_by_the_model_and_by_the_store(name):
    whole = traces.load(DATA / "traces" / name)
    part = whole._replace(keys=whole.keys[:STEPS], asked=STEPS)
    trace = part.keys.tolist()
    assert trace == traces.read(DATA / "traces" / name)[:STEPS]
    result = simulation.simulate(part, REAL[name])
    assert result.distinct == len(set(trace)) and result.reads == len(trace)
    assert result.most == 1 - len(set(trace)) / len(trace)
    for point in result.points:
        wanted = policies.hits(point.policy, trace, point.entries)
        assert (round(point.ratio * len(trace)), point.error) == (wanted, 0.0), point
    for entries in REAL[name]:
        for point in simulation.simulate(whole, [entries]).points:
            wanted = stored_hits(point.policy, whole.keys.tolist(), entries)
            assert round(point.ratio * len(whole.keys)) == wanted, point


@pytest.mark.parametrize("policy", simulation.POLICIES)
def test_odd_keys_and_sizes(policy):
    dice = random.Random(5)
    odd = [0, 1, (1 << 61) - 1, 1 << 61, (1 << 64) - 1, 1 << 63]
    trace = [dice.choice(odd + list(range(40))) for _ in range(3000)]
    for entries in (1, 2, 3, 17, 46, 47, 1_000_000):
        (point,) = simulation.simulate(trace_of(trace), [entries], [policy]).points
        assert round(point.ratio * len(trace)) == policies.hits(policy, trace, entries)


def test_numbers_are_those_of_the_first_appearance():
    dice = random.Random(7)
    keys = [dice.randrange(1 << 64) for _ in range(5000)]
    keys += dice.choices(keys, k=5000)
    out = numpy.empty(len(keys), numpy.uint32)
    known = {}
    assert number(numpy.array(keys, numpy.uint64), out) == 5000
    assert out.tolist() == [known.setdefault(key, len(known)) for key in keys]
    assert number(numpy.empty(0, numpy.uint64), numpy.empty(0, numpy.uint32)) == 0
    with pytest.raises(ValueError, match="room for 1"):
        number(numpy.empty(2, numpy.uint64), numpy.empty(1, numpy.uint32))


def test_what_a_replay_refuses():
    keys, numbers = numpy.arange(4, dtype=numpy.uint64), numpy.arange(4, dtype=numpy.uint32)
    for policy, entries in (("none", 3), ("mru", 3), ("lru", 0)):
        with pytest.raises(ValueError):
            Replay(policy, entries, 4)
    replay = Replay("lru", 3, 3)
    with pytest.raises(ValueError, match="beyond the 3"):
        replay.run(numbers, keys)
    with pytest.raises(ValueError, match="4 numbers for 3"):
        replay.run(numbers, keys[:3])
    replay = Replay("lru", 3, 4)
    replay.run(numbers[:0], keys[:0])
    replay.run(numbers[:2], keys[:2])
    replay.run(numbers[:2], keys[:2])
    counts = numpy.empty(4, numpy.uint32)
    replay.hits_by_key(counts)
    assert (replay.reads, replay.hits, counts.tolist()) == (4, 2, [1, 1, 0, 0])
    with pytest.raises(ValueError, match="4 keys and room for 2"):
        replay.hits_by_key(counts[:2])


def test_a_recording_of_a_store_is_replayed_to_its_own_hits(tmp_path):
    dice = random.Random(11)
    asked = [f"verse/{dice.paretovariate(0.7):.0f}"[:12] for _ in range(40_000)]
    for policy in simulation.POLICIES:
        store = d43.MemoryStore(max_entries=300, policy=policy)
        with store.record_trace(tmp_path / policy):
            for key in asked:
                if store.get(key) is None:
                    store[key] = 1
        trace = traces.load(tmp_path / policy)
        assert (trace.form, trace.asked, trace.whole, len(trace.keys)) == ("recorded", 40_000, True, 40_000)
        (point,) = simulation.simulate(trace, [300], [policy]).points
        assert round(point.ratio * 40_000) == store.stats()["hits"]


@pytest.mark.parametrize("exponent", [0.8, 1.0])
def test_a_sample_says_what_the_whole_does(exponent):
    whole = trace_of(traces.zipf(exponent, 20_000, 200_000, 9))
    sizes = [2000, 8000]
    wanted = simulation.simulate(whole, sizes)
    off = []
    for seed in range(4):
        names = [key + (seed << 40) for key in whole.keys.tolist()]
        part = trace_of([name for name in names if recordings.spread(name) <= recordings.limit(0.1)])._replace(
            sample=0.1, asked=len(names), form="recorded")
        got = simulation.simulate(part, sizes)
        assert got.distinct < 0.15 * wanted.distinct and all(0 < point.error < 0.2 for point in got.points)
        assert [point.simulated for point in got.at(2000)] == [200] * len(simulation.POLICIES)
        assert abs(got.most - wanted.most) < 0.05 and all(point.ratio <= got.most for point in got.points)
        off += [abs(a.ratio - b.ratio) for a, b in zip(wanted.points, got.points, strict=True)]
    assert sum(off) / len(off) < 0.02 and max(off) < 0.08


def test_a_sample_that_is_too_small_for_a_size_says_so():
    trace = trace_of([recordings.limit(0.001)] * 10)._replace(sample=0.001, asked=10_000)
    result = simulation.simulate(trace, [10, 5000], ["lru"])
    assert [(point.ratio is None, point.simulated) for point in result.points] == [(True, 0), (False, 5)]
    assert result.best(10) == [] and result.best(5000) == ["lru"]


def test_the_ladder_is_made_of_round_numbers():
    assert simulation.ladder(1_000_000) == [1000, 3000, 10_000, 30_000, 100_000, 200_000, 400_000, 800_000]
    assert simulation.ladder(13_756) == [15, 40, 150, 400, 1500, 3000, 6000, 10_000]
    assert simulation.ladder(3) == [1] and simulation.ladder(1) == [1]
    for distinct in range(1, 3000):
        sizes = simulation.ladder(distinct)
        assert sizes and sizes == sorted(set(sizes)) and sizes[-1] < max(distinct, 2)


def test_bad_options():
    trace = trace_of([1, 2, 3])
    with pytest.raises(ConfigError, match="s3fifo"):
        simulation.simulate(trace, [1], ["s3-fifo"])
    with pytest.raises(ConfigError, match="sizes"):
        simulation.simulate(trace, [0])
    with pytest.raises(ConfigError, match="sizes"):
        simulation.simulate(trace, [])
    with pytest.raises(ConfigError, match="no reads"):
        simulation.simulate(trace_of([]))


def test_it_tells_how_far_it_is_and_ends_when_that_fails(monkeypatch):
    monkeypatch.setattr(simulation, "STEP", 100)
    told = []
    simulation.simulate(trace_of(range(250)), [10, 20], ["lru", "sieve"], lambda *about: told.append(about))
    assert [done for done, _, _ in told][-1] == 1000 and {total for _, total, _ in told} == {1000}
    assert sorted({name for _, _, name in told}) == ["lru", "sieve"]

    def fail(*_):
        raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt):
        simulation.simulate(trace_of(range(250)), [10, 20], ["lru"], fail)
