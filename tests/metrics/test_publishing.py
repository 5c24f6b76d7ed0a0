"""Metrics in a file beside the store, and ``door43fast top`` over a live writer in another process."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

import door43fast as d43
from door43fast.metrics import publish, published

ROOT = Path(__file__).parents[2]


@pytest.fixture
def writer(tmp_path):
    place = tmp_path / "s"
    child = subprocess.Popen([sys.executable, Path(__file__).with_name("live_writer.py"), place], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert child.stdout.readline() == b"ready\n"
    yield child, place
    child.stdin.close()
    child.wait(30)


def top(place, *more):
    done = subprocess.run([sys.executable, "-m", "door43fast", "top", place, "--once", "--interval", "0.5", *more],
                          capture_output=True, text=True, timeout=120, check=False,
                          env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_top_of_a_live_writer(writer):
    child, place = writer
    before = json.loads(top(place, "--json"))
    after = json.loads(top(place, "--json"))
    assert after["entries"] > before["entries"] > 0 and after["transactions"] > before["transactions"]
    assert after["journal"] > before["journal"] and after["rates"]["journal"] > 1 and after["rates"]["transactions"] > 1
    assert after["file_bytes"] >= after["bytes"] > 0
    assert child.pid in [one["pid"] for one in after["readers"]] and os.getpid() not in [
        one["pid"] for one in after["readers"]]
    told, = after["processes"]
    assert told["pid"] == child.pid and told["metrics"]["total"]["counters"]["sets"] >= before["entries"]
    assert told["metrics"]["total"]["latency"]["get"]["p99"] > 0
    speed = after["rates"]["processes"][str(child.pid)]
    assert speed["hits"] > 1 and speed["misses"] > 1
    drawn = top(place)
    assert str(child.pid) in drawn and "transactions" in drawn and "get p99" in drawn


def test_a_process_that_is_gone_is_passed_over(writer):
    child, place = writer
    assert [one["pid"] for one in published(place)] == [child.pid]
    child.kill()
    child.wait(30)
    assert list(place.glob("metrics-*.json")) and published(place) == []
    with d43.open(place) as store:
        assert store.get("k0") == 0 and store.verify()["errors"] == []
    assert "nobody publishes metrics" in top(place)


def test_one_that_stopped_writing_is_passed_over(tmp_path):
    with d43.LmdbStore(tmp_path / "s") as store, publish(store, 0.05) as publisher:
        told = json.loads(publisher.path.read_text())
        assert published(tmp_path / "s")[0]["pid"] == os.getpid()
        publisher.close()
        assert not publisher.path.exists()
        publisher.path.write_text(json.dumps(told | {"time": time.time() - 10}))
        assert published(tmp_path / "s") == []


def test_it_ends_with_the_store(tmp_path):
    store = d43.open(tmp_path / "s", publish_metrics="100ms")
    file, = (tmp_path / "s").glob("metrics-*.json")
    assert store.get("x") is None
    end = time.monotonic() + 30
    while published(tmp_path / "s")[0]["metrics"]["total"]["counters"]["misses"] == 0:
        assert time.monotonic() < end
    store.close()
    while file.exists():
        assert time.monotonic() < end
    import pickle
    with d43.open(tmp_path / "s", publish_metrics=0.1) as store, pickle.loads(pickle.dumps(store)):
        assert len(published(tmp_path / "s")) == 2      # and so does what is opened by its plan


def test_refusals(tmp_path):
    with d43.MemoryStore() as store, pytest.raises(d43.ConfigError, match="exporter"):
        publish(store)
    with d43.LmdbStore(tmp_path / "s") as store, pytest.raises(d43.ConfigError, match=r"0\.05"):
        publish(store, 0.01)
    with pytest.raises(d43.ConfigError, match="exporter"):
        d43.open(f"sqlite:///{tmp_path}/x.db", publish_metrics=1)
