"""``door43fast simulate``: its table, its JSON, its picture, and what it refuses."""

import gzip
import struct
import sys

import pytest

import door43fast as d43
from door43fast import simulation, traces
from door43fast.reference import policies


@pytest.fixture
def trace(tmp_path):
    """A text with a key a line."""
    path = tmp_path / "trace.txt"
    path.write_text("".join(f"{key}\n" for key in traces.zipf(0.9, 300, 4000, 1)))
    return path


def test_the_table(empty, trace):
    result = empty("simulate", trace, "--sizes", "10,50, 1k")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert "trace.txt" in lines[0] and all(policy in lines[3] for policy in simulation.POLICIES)
    for size in ("10", "50", "1,000"):
        (row,) = [line for line in lines if line.split("│")[1:2] and line.split("│")[1].strip() == size]
        assert "*" in row
    (row,) = [line for line in lines if "│ 50 " in line]
    wanted = 100 * policies.hits("lru", traces.read(trace), 50) / 4000
    assert f"{wanted:.2f}" in row.split("│")[2]
    assert "4,000 reads" in result.stdout and result.stderr == ""


def test_json(empty, trace):
    got = empty.json("simulate", trace, "--sizes", "10,50", "--policies", "sieve, lru,sieve")
    assert {name: type(value) for name, value in got.items()} == {
        "trace": str, "format": str, "sample": float, "whole": bool, "asked": int, "reads": int, "distinct": int,
        "most": float, "results": list, "best": list, "notes": list, "plot": type(None), "seconds": float}
    assert (got["format"], got["reads"], got["asked"], got["notes"]) == ("text", 4000, 4000, [])
    assert [(one["policy"], one["entries"], one["simulated"], one["error"]) for one in got["results"]] == [
        ("sieve", 10, 10, 0.0), ("lru", 10, 10, 0.0), ("sieve", 50, 50, 0.0), ("lru", 50, 50, 0.0)]
    for one in got["results"]:
        assert round(one["ratio"] * 4000) == policies.hits(one["policy"], traces.read(trace), one["entries"])
    assert [one["entries"] for one in got["best"]] == [10, 50]
    assert set(got["best"][0]["policies"]) <= {"sieve", "lru"}


def test_every_policy_and_a_ladder_of_sizes_by_default(empty, trace):
    got = empty.json("simulate", trace)
    assert {one["policy"] for one in got["results"]} == set(simulation.POLICIES)
    assert sorted({one["entries"] for one in got["results"]}) == simulation.ladder(got["distinct"])


def test_other_formats(empty, tmp_path):
    keys = [5, 6, 5, 7] * 100
    (tmp_path / "a.gz").write_bytes(gzip.compress(b"".join(b"%d\n" % key for key in keys)))
    (tmp_path / "b").write_bytes(struct.pack(">400I", *keys))
    (tmp_path / "c").write_text("".join(f"verse {key}\n" for key in keys))
    told = [empty.json("simulate", tmp_path / name, "--sizes", "2", *form)["results"]
            for name, form in (("a.gz", ()), ("b", ("--format", "binary32")), ("c", ()))]
    assert told[0] and [one["ratio"] for one in told[0]] == [one["ratio"] for one in told[1]] == [
        one["ratio"] for one in told[2]]


def test_a_recording_and_its_sample(empty, tmp_path):
    store = d43.MemoryStore(max_entries=10)
    stream = traces.zipf(0.7, 3000, 30_000, 3)
    for sample in (1.0, 0.2):
        with store.record_trace(tmp_path / f"{sample}", sample=sample):
            for key in stream:
                store.get(f"key{key}")
    whole = empty.json("simulate", tmp_path / "1.0", "--sizes", "1000", "--policies", "lru")
    assert (whole["sample"], whole["whole"], whole["reads"], whole["notes"]) == (1.0, True, 30_000, [])
    part = empty("simulate", tmp_path / "0.2", "--sizes", "2,100,1000", "--policies", "lru")
    assert all(said in part.stdout for said in ("±", "estimates: 0.2 of all keys", "100 entries and below"))
    assert "│ 2 " in part.stdout and " - " in part.stdout
    got = empty.json("simulate", tmp_path / "0.2", "--sizes", "1000", "--policies", "lru")
    assert (got["sample"], got["asked"], len(got["notes"])) == (0.2, 30_000, 1) and got["reads"] < 10_000
    assert abs(got["results"][0]["ratio"] - whole["results"][0]["ratio"]) < 0.1 and got["results"][0]["error"] > 0


def test_a_recording_that_was_cut(empty, tmp_path):
    store = d43.MemoryStore()
    with store.record_trace(tmp_path / "t"):
        store.get_many([f"k{i % 100}" for i in range(20_000)])
    data = (tmp_path / "t").read_bytes()
    (tmp_path / "t").write_bytes(data[:-10])
    got = empty.json("simulate", tmp_path / "t", "--sizes", "10")
    assert (got["whole"], got["reads"]) == (False, 16_384) and "not ended" in got["notes"][0]
    (tmp_path / "t").write_bytes(data[:200])
    assert "was not ended" in empty.refused(2, "simulate", tmp_path / "t")
    (tmp_path / "t").write_bytes(data[:50])
    assert str(tmp_path / "t") in empty.refused(3, "simulate", tmp_path / "t")


def test_a_picture(empty, trace, tmp_path):
    pytest.importorskip("matplotlib")
    assert empty.json("simulate", trace, "--plot", tmp_path / "out.png")["plot"] == str(tmp_path / "out.png")
    assert (tmp_path / "out.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert empty("simulate", trace, "--plot", tmp_path / "out.svg").exit_code == 0
    assert "sieve" in (tmp_path / "out.svg").read_text() or "<svg" in (tmp_path / "out.svg").read_text()
    assert "png" in empty.refused(2, "simulate", trace, "--plot", tmp_path / "out.word")
    assert "nowhere" in empty.refused(3, "simulate", trace, "--plot", tmp_path / "nowhere" / "out.png")


def test_without_matplotlib_it_says_what_to_install(empty, trace, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    said = empty.refused(4, "simulate", trace, "--plot", tmp_path / "out.png")
    assert "pip install 'door43fast[plot]'" in said and not (tmp_path / "out.png").exists()
    assert empty("simulate", trace).exit_code == 0


@pytest.mark.parametrize(("arguments", "said"), [
    (["--sizes", "0"], "number of entries"), (["--sizes", "10,x"], "'x'"), (["--sizes", ""], "number of entries"),
    (["--sizes", "5kk"], "'5kk'"), (["--sizes", "-5"], "'-5'"), (["--policies", "mru"], "mru"),
    (["--policies", "s3-fifo"], "'s3fifo'"), (["--policies", "none"], "none"), (["--format", "csv"], "csv"),
    (["--format", "recorded"], None), ([], None)], ids=str)
def test_mistakes(empty, trace, tmp_path, arguments, said):
    if said is None and arguments:      # the file is another's
        assert "no recording" in empty.refused(3, "simulate", trace, *arguments)
    elif said is None:
        assert "nowhere" in empty.refused(3, "simulate", tmp_path / "nowhere")
        assert "TRACE" in empty.refused(2, "simulate")
        (tmp_path / "empty").write_bytes(b"")
        assert "no reads" in empty.refused(2, "simulate", tmp_path / "empty")
        (tmp_path / "odd").write_bytes(b"\x00" * 7)
        assert "multiple of 4" in empty.refused(2, "simulate", tmp_path / "odd")
        (tmp_path / "spoilt.gz").write_bytes(gzip.compress(trace.read_bytes())[:100])
        assert "damaged" in empty.refused(3, "simulate", tmp_path / "spoilt.gz")
    else:
        assert said in empty.refused(2, "simulate", trace, *arguments)


def test_the_bar_is_for_terminals_alone(empty, trace):
    result = empty("simulate", trace)
    assert result.exit_code == 0 and result.stderr == ""
