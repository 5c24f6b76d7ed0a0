"""The native cascade does nothing that the models cannot do: its traces, by schedules from seeds, are runs of theirs.

And the traces of a cascade without one of the rules are not.
"""

import os
import random

import pytest
from models import replay
from models.plain import Plain
from models.recording import APART, PATIENCE, TOGETHER, Actors, Recording, Told, drive

import door43fast as d43

TRACES = max(int(os.environ.get("DOOR43FAST_SEEDS", "1000")) // 4, 20)
CALLS = ["get", "get", "get", "get", "set", "set", "delete", "set_many", "delete_many", "clear"]
THREADS, EACH = 3, 4
BEGIN = "slow[0] = 3; slow[1] = 3; floor[0] = 1; floor[1] = 1; " + "run thread(255, 255); " * THREADS


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


def assert_followed(traces, came):
    for seed, (trace, at) in enumerate(zip(traces, came, strict=True)):
        so_far = "\n".join(map(str, trace[:at + 1]))
        assert at == len(trace), f"seed {seed}: the model cannot do event {at} of\n{so_far}"


@pytest.mark.parametrize("keys, switches", [(TOGETHER, []), (APART, ["APART"])], ids=["one stripe", "two stripes"])
def test_traces_are_runs_of_the_model(tmp_path, keys, switches):
    traces = [trace_of(d43.cascade, seed, keys) for seed in range(TRACES)]
    print(f"{TRACES} traces, {sum(map(len, traces))} events")
    assert_followed(traces, replay.reached(tmp_path, "promotion", BEGIN, traces, *switches))


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
