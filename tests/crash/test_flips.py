"""Bytes changed and pages cut off: an error or what was written, where the change could be noticed; else how often not.

A copy of a store is damaged and read in another process, so that one that dies is counted. DOOR43FAST_FLIPS says how
many bytes of each kind are changed; every byte of both head pages always is.
"""

import collections
import json
import os
import pathlib
import random
import struct
import subprocess
import sys

import pytest
import victim

import door43fast

FLIPS = int(os.environ.get("DOOR43FAST_FLIPS", "250"))
ROOT = str(pathlib.Path(door43fast.__file__).parents[1])
FLIPPER = pathlib.Path(__file__).with_name("flipper.py")
PAGE, HEAD, USED = 4096, 16, 152


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("flips") / "whole"
    victim.make(path)
    return path


def heads():
    """Each byte of both head pages, twice."""
    rng = random.Random(1)
    return [[page * PAGE + at, mask] for page in (0, 1) for at in range(USED)
            for mask in (1 << rng.randrange(8), rng.randrange(1, 256))]


def headers(data):
    """Bytes of the headers of pages, and of the places of nodes behind them; all of them, if so many are asked for."""
    rng = random.Random(2)
    every = [page + at for page in range(2 * PAGE, len(data), PAGE) for at in range(HEAD + 8)]
    return [[at, 1 << rng.randrange(8)] for at in (every if len(every) <= FLIPS else rng.sample(every, FLIPS))]


def anywhere(data):
    rng = random.Random(3)
    return [[rng.randrange(2 * PAGE, len(data)), rng.randrange(1, 256)] for _ in range(FLIPS)]


def cuts(data):
    """At every page, and within some."""
    rng = random.Random(4)
    return [[page + rng.choice([0, 0, 100, 512])] for page in range(0, len(data), PAGE)]


def outcomes(whole, target, damages, how):
    """What became of each: a Counter, and those that were neither refused, nor an error, nor right."""
    counts, bad = collections.Counter(), []
    paths = [ROOT, str(FLIPPER.parent), os.environ.get("PYTHONPATH")]
    where = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    while damages:
        run = subprocess.run([sys.executable, FLIPPER, whole, target, how],
                             input="".join(json.dumps(damage) + "\n" for damage in damages), capture_output=True,
                             text=True, env=where, timeout=3000)
        answers = run.stdout.split("\n")[1:-1:2]
        if len(answers) < len(damages):
            assert run.returncode < 0, run.stderr       # by a signal; anything else is a fault of the harness
            answers.append("crash")
        counts.update(answers)
        bad += [(answer, damage) for answer, damage in zip(answers, damages) if answer in ("wrong", "lost", "crash")]
        damages = damages[len(answers):]
    return counts, bad


KINDS = {"heads": lambda data: heads(), "headers": headers, "anywhere": anywhere, "cuts": cuts}


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_was_written_to_is_looked_through(whole, tmp_path, kind, capsys):
    """Its time is not that of its stamp, so the check at open runs: nothing wrong, nothing lost in silence."""
    damages = KINDS[kind]((whole / "data.mdb").read_bytes())
    counts, bad = outcomes(whole, tmp_path / "copy", damages, "seen")
    assert bad == []
    assert counts["refused"] + counts["error"] > len(damages) // 8 and sum(counts.values()) == len(damages)
    with capsys.disabled():
        print(f" [{kind}: {dict(counts)}] ", end="")


@pytest.mark.parametrize("how", ["rot", "crash"])
@pytest.mark.parametrize("kind", KINDS)
def test_what_remains_where_nothing_tells_of_the_change(whole, tmp_path, kind, how, capsys):
    """A change under the same time, or after a crash, when the file is trusted. Cuts are seen all the same, and heads
    by the stamp; of the rest, few are neither an error nor right: docs/durability.md says how many.
    """
    damages = KINDS[kind]((whole / "data.mdb").read_bytes())
    counts, bad = outcomes(whole, tmp_path / "copy", damages, how)
    assert len(bad) <= (0 if kind == "cuts" or (kind, how) == ("heads", "rot") else 2 + len(damages) // 15)
    with capsys.disabled():
        print(f" [{kind}, {how}: {dict(counts)}] ", end="")


def test_without_the_look_the_same_changes_do_harm(whole, tmp_path):
    """What makes the first test mean something: the headers that it finds damaged lead astray if nobody looks."""
    damages = [damage for damage in headers((whole / "data.mdb").read_bytes())]
    _, bad = outcomes(whole, tmp_path / "copy", damages, "rot")
    assert bad


def stamp(path):
    """Size and time of the file when it was closed, as docs/format.md says that they are noted."""
    content = (path / "closed").read_bytes()
    return struct.unpack_from("<8sqq", content)


def test_the_stamp_says_how_the_file_was_left(whole, tmp_path):
    from door43fast.lmdb import LmdbStore
    st = os.stat(whole / "data.mdb")
    assert stamp(whole) == (b"d43stamp", st.st_size, st.st_mtime_ns)
    with LmdbStore(tmp_path / "s") as store:
        store["k"] = b"v"
        assert not (tmp_path / "s" / "closed").exists()
    with LmdbStore(tmp_path / "s") as store:
        assert store["k"] == b"v" and (tmp_path / "s" / "closed").exists()
        store["k"] = b"w"
        assert not (tmp_path / "s" / "closed").exists()     # a killed process leaves none: the next trusts the file
    assert stamp(tmp_path / "s")[2] == os.stat(tmp_path / "s" / "data.mdb").st_mtime_ns


def test_what_another_program_commits_is_no_damage(tmp_path):
    """py-lmdb knows nothing of the stamp; the transaction of the file is a newer one than the stamp's."""
    from door43fast.lmdb import LmdbStore
    with LmdbStore(tmp_path / "s") as store:
        store["k"] = b"v"
    for count in (1, 2, 3):
        code = "import lmdb, sys\nenv = lmdb.open(sys.argv[1], max_dbs=16)\nfor i in range(int(sys.argv[2])):\n" \
               "    with env.begin(write=True) as t: t.put(b'x', b'%d' % i, db=env.open_db(b'foreign', t))"
        subprocess.run([sys.executable, "-c", code, tmp_path / "s", str(count)], check=True, timeout=60)
        with LmdbStore(tmp_path / "s", readonly=count == 2) as store:
            assert store["k"] == b"v" and store.verify() == {"checked": 1, "errors": []}


def test_a_miss_is_no_answer_while_a_record_is_damaged(tmp_path):
    """A record whose key was damaged is missing under its own; that is told until verify() finds all sound again."""
    from door43fast.errors import CorruptError
    from door43fast.lmdb import LmdbStore
    with LmdbStore(tmp_path / "s") as store:
        store.set_many({"good": b"1", "key": b"needle"})
    file = tmp_path / "s" / "data.mdb"
    file.write_bytes(file.read_bytes().replace(b"\x03\x00key", b"\x03\x00kez"))
    for _ in range(2):      # closing it does not make it trusted
        with LmdbStore(tmp_path / "s") as store:
            assert store["good"] == b"1"
            for read in (lambda: store.get("key"), lambda: store.get("never"), lambda: store.get_many(["good", "key"]),
                         lambda: "key" in store, lambda: store.ttl("key"), lambda: store.contains_many(["key"]),
                         lambda: store.get_packed(["key"])):
                with pytest.raises(CorruptError, match="may have been.*1 of its records.*'kez'"):
                    read()
            store["new"] = b"n"
    with LmdbStore(tmp_path / "s") as store:
        assert store.delete("kez")
        assert store.verify()["checked"] == 2
        assert store.get("key") is None and store["new"] == b"n"
    with LmdbStore(tmp_path / "s") as store:
        assert store.get("key") is None
