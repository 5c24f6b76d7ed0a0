"""The native cascade does nothing that the models cannot do: its traces, by schedules from seeds, are runs of theirs.

And the traces of a cascade without one of the rules are not.
"""

import os
import random

import pytest
from models import replay
from models.plain import Plain
from models.recording import APART, PATIENCE, TOGETHER, Actors, Recording, Told, ToldDirectory, drive, told_memory

import door43fast as d43

TRACES = max(int(os.environ.get("DOOR43FAST_SEEDS", "1000")) // 4, 20)
CALLS = ["get", "get", "get", "get", "set", "set", "delete", "set_many", "delete_many", "clear"]
THREADS, EACH = 3, 4
BEGIN = "slow[0] = 3; slow[1] = 3; floor[0] = 1; floor[1] = 1; " + "run thread(255, 255); " * THREADS

PROCESSES = "run thread(0, 0, 255, 255); run thread(1, 0, 255, 255); run thread(2, 1, 255, 255);"
NATIVE = ["NATIVE_READS", "COMMITS=32"]


def trace_of(cascade, seed, keys=TOGETHER):
    """What three threads do with a cascade, which ``cascade`` makes, in the order that the seed gives."""
    fast, slow = d43.MemoryStore(), Told(d43.MemoryStore())
    rng = random.Random(seed)
    slow.store.set_many({key: "first" for key in keys})
    made = cascade(fast, slow)
    slow.recording = recording = Recording(keys, [fast], "first")
    acts = [drive(recording, made, CALLS, rng, EACH) for _ in range(THREADS)]
    assert Actors(seed, PATIENCE).run(*acts) == [None] * THREADS
    assert {key: slow.store.get(key) for key in keys} == recording.stands
    return [(*event[:6], 0, 0, *event[6:]) for event in recording.events]


def silent_memory(recording):
    return d43.MemoryStore()


def trace_of_processes(folder, seed, journal, cascade=d43.cascade, memory=told_memory, processes=(0, 0, 1)):
    """Two cascades over one directory, as foreign to each other as two processes; each thread is of one of them."""
    recording = None
    slows = [ToldDirectory(folder, durability="none", journal=journal) for _ in range(2)]
    slows[0].set_many({key: "first" for key in APART})
    fasts = [memory(lambda: recording) for _ in range(2)]
    cascades = [cascade(fast, slow) for fast, slow in zip(fasts, slows, strict=True)]
    recording = slows[0].recording = slows[1].recording = Recording(APART, fasts, "first", over=True)
    rng = random.Random(seed)
    acts = [drive(recording, cascades[process], ["get", "get", "get", "set"], rng, EACH) for process in processes]
    assert Actors(seed, PATIENCE).run(*acts) == [None] * len(acts)
    assert {key: slows[0].get(key) for key in APART} == recording.stands
    for slow in slows:
        slow.close()
    return recording.events


def assert_followed(traces, came):
    for seed, (trace, at) in enumerate(zip(traces, came, strict=True)):
        so_far = "\n".join(map(str, trace[:at + 1]))
        assert at == len(trace), f"seed {seed}: the model cannot do event {at} of\n{so_far}"


@pytest.mark.parametrize("keys, switches", [(TOGETHER, []), (APART, ["APART"])], ids=["one stripe", "two stripes"])
def test_traces_are_runs_of_the_model(tmp_path, keys, switches):
    traces = [trace_of(d43.cascade, seed, keys) for seed in range(TRACES)]
    print(f"{TRACES} traces, {sum(map(len, traces))} events")
    assert_followed(traces, replay.reached(tmp_path, "promotion", BEGIN, traces, *switches))


@pytest.mark.parametrize("journal", [True, None], ids=["journal", "no journal"])
def test_traces_over_a_directory_are_runs_of_the_model(tmp_path, journal):
    """Native reads and publications: the threads change over where a value is weighed, and around each set."""
    traces = [trace_of_processes(tmp_path / f"store{seed}", seed, journal) for seed in range(TRACES)]
    print(f"{TRACES} traces, {sum(map(len, traces))} events")
    switches = [*NATIVE, *(["JOURNAL"] if journal else [])]
    assert_followed(traces, replay.reached(tmp_path, "coherence", PROCESSES, traces, *switches))


@pytest.mark.parametrize("processes, memory, good", [
    ((0, 0, 0), silent_memory, True), ((0, 0, 1), silent_memory, False), ((0, 0, 0), told_memory, False),
], ids=["good", "does not look at others", "weighs between look and put"])
def test_those_of_a_tier_in_python_that_does_not_look_are_not(tmp_path, processes, memory, good):
    traces = [trace_of_processes(tmp_path / f"store{seed}", seed, None, Plain, memory, processes)
              for seed in range(TRACES)]
    begin = PROCESSES.replace("thread(2, 1", f"thread(2, {processes[2]}")
    came = replay.reached(tmp_path, "coherence", begin, traces, *NATIVE)
    refused = sum(at < len(trace) for at, trace in zip(came, traces, strict=True))
    print(f"{refused} of {TRACES} traces refused")
    assert (refused == 0) == good


def test_so_are_those_of_the_rules_in_python(tmp_path):
    """Else what follows would prove nothing."""
    traces = [trace_of(Plain, seed) for seed in range(TRACES)]
    assert_followed(traces, replay.reached(tmp_path, "promotion", BEGIN, traces))


@pytest.mark.parametrize("rule", ["ticket", "begin", "end", "discard", "epoch"])
def test_without_a_rule_they_are_not(tmp_path, rule):
    traces = [trace_of(lambda fast, slow: Plain(fast, slow, {rule}), seed) for seed in range(TRACES)]
    came = replay.reached(tmp_path, "promotion", BEGIN, traces)
    refused = sum(at < len(trace) for at, trace in zip(came, traces, strict=True))
    print(f"{rule}: {refused} of {TRACES} traces refused")
    assert refused
