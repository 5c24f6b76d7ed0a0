"""The command line as a process: ``python -m door43fast``, pipes, missing libraries, an interrupt, and the demo."""

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial

import pytest

from .conftest import HOME, SAMPLE


def process(*arguments, code=0, cwd=HOME, **options):
    result = subprocess.run(
        [sys.executable, "-m", "door43fast", *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        timeout=300,
        env={**os.environ, "PYTHONPATH": str(HOME)},
        check=False,
        **options,
    )
    assert result.returncode == code, result.stderr.decode()
    return result


def test_version_and_help():
    assert process("--version").stdout.startswith(b"door43fast ")
    assert b"passage" in process().stdout
    assert process("dctor", code=2).stderr.startswith(b"door43fast: there is no command 'dctor': did you mean doctor?")


def test_import_and_get(tmp_path):
    process("import", SAMPLE, "--into", tmp_path / "store")
    key = "door43fast/en_tw@3/bible/other/flour.md"
    got = process("get", key, "--store", tmp_path / "store").stdout
    assert got == (SAMPLE / "en_tw/bible/other/flour.md").read_bytes()


def test_a_reader_that_has_enough(tmp_path):
    process("import", SAMPLE, "--into", tmp_path / "store")
    script = (
        f"{sys.executable} -m door43fast ls --all --store {tmp_path / 'store'} | head -n 1; exit ${{PIPESTATUS[0]}}"
    )
    result = subprocess.run(["bash", "-c", script], cwd=HOME, capture_output=True, timeout=60, check=False)
    assert (result.returncode, result.stderr, result.stdout.count(b"\n")) == (0, b"", 1)


@pytest.mark.parametrize("missing", ["click", "rich"])
def test_without_its_libraries_one_sentence_says_what_to_install(missing):
    script = f"import sys; sys.modules[{missing!r}] = None; from door43fast.cli import main; main()"
    result = subprocess.run([sys.executable, "-c", script], cwd=HOME, capture_output=True, timeout=60, check=False)
    assert (result.returncode, result.stdout) == (4, b"")
    assert (
        result.stderr.decode() == f"door43fast: the command line needs {missing}: run pip install 'door43fast[cli]'\n"
    )


def test_without_its_libraries_json_stays_json():
    script = "import sys; sys.modules['click'] = None; from door43fast.cli import main; main()"
    command = [sys.executable, "-c", script, "stats", "--json"]
    result = subprocess.run(command, cwd=HOME, capture_output=True, timeout=60, check=False)
    assert result.returncode == 4 and json.loads(result.stderr)["error"]["code"] == 4


@pytest.mark.parametrize(("url", "module", "extra"), [
    ("redis://host/0", "redis", "redis"), ("rediss://host/0", "redis", "redis"),
    ("redis+cluster://host:7000", "greenlet", "redis"), ("https://host/folder", "httpx", "http")])
def test_a_backend_without_its_library_names_what_brings_it(url, module, extra):
    """It said "install redis", which is the name of the server too."""
    script = (f"import sys; sys.modules[{module!r}] = None; import door43fast as d43\n"
              f"try: d43.open({url!r})\nexcept d43.BackendUnavailableError as error: print(error)")
    result = subprocess.run([sys.executable, "-c", script], cwd=HOME, capture_output=True, timeout=60, check=True)
    assert f"install door43fast[{extra}]" in result.stdout.decode()


def test_help_loads_no_command():
    script = (
        "import sys; from door43fast.cli.program import program\n"
        "try: program(['--help'])\nexcept SystemExit: pass\n"
        "print([m for m in ('yaml', 'numpy', 'rich', 'door43fast.resources') if m in sys.modules], file=sys.stderr)"
    )
    result = subprocess.run([sys.executable, "-c", script], cwd=HOME, capture_output=True, timeout=60, check=True)
    assert result.stderr.strip() == b"[]"


def test_an_interrupted_import_is_done_anew(tmp_path):
    """Ctrl-C in the middle of many batches: one sentence, and the next import starts from nothing."""
    source = tmp_path / "xx_big@v1"
    source.mkdir()
    for number in range(3000):
        (source / f"{number:05}.md").write_bytes(os.urandom(20_000))
    store = tmp_path / "store"
    child = subprocess.Popen(
        [sys.executable, "-m", "door43fast", "import", source, "--into", store],
        cwd=HOME,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    deadline = time.monotonic() + 60
    while not (store / "data.mdb").exists() and time.monotonic() < deadline and child.poll() is None:
        time.sleep(0.005)
    child.send_signal(signal.SIGINT)
    _, errors = child.communicate(timeout=60)
    assert child.returncode in (0, 130), errors
    if child.returncode == 130:
        assert errors.strip().startswith(b"door43fast: interrupted") and b"Traceback" not in errors
    process("import", source, "--into", store)
    process("export", store, "--to", tmp_path / "out")
    assert {path.name: path.read_bytes() for path in (tmp_path / "out/local/xx_big@1").iterdir()} == {
        path.name: path.read_bytes() for path in source.iterdir()
    }


def test_demo_on_our_own_sample_without_any_peer_but_dict(tmp_path):
    result = process("demo", "--data", SAMPLE, "--into", tmp_path / "kept", "--json", cwd=tmp_path)
    found = json.loads(result.stdout)
    assert found["import"]["records"] == 53 and found["export"]["files"] == 16
    assert [(one["passage"], one["records"]) for one in found["passages"]] == [("TIT 1:1", 6), ("JON 1:1", 2)]
    rows = found["ours"]
    assert set(rows) == {"memory", "memory over LMDB, warm", "memory over LMDB, cold", "LMDB alone, warm"}
    assert all(rate > 0 for row in rows.values() for rate in row.values()) and all(
        len(row) == 3 for row in rows.values()
    )
    assert "dict" in found["peers"] and len(found["peers"]["sqlite3"]["cold"]) == 3
    assert b"TIT 1:1" in process("passage", "TIT", "1:1", "--keys", "--json", "--store", tmp_path / "kept").stdout


def test_bench_prints_a_table():
    result = process("bench", "--records", 1000, "--size", 20)
    assert "get_many" in result.stdout.decode() and "dict" in result.stdout.decode()


def test_watching_ends_by_an_interrupt_without_a_word(tmp_path):
    """It spoke of an unfinished import, and its code was that of a failure."""
    process("import", SAMPLE, "--into", tmp_path / "store")
    command = [sys.executable, "-m", "door43fast", "top", str(tmp_path / "store"), "--interval", "0.1"]
    terminal, other_end = os.openpty()
    # What runs the tests may ignore interrupts, as a shell has its jobs in the background do.
    heed = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(command, cwd=HOME, stdout=other_end, stderr=subprocess.PIPE, preexec_fn=heed) as watching:
        try:
            seen = b""
            while b"entries" not in seen:       # it is drawn, and goes on
                seen += os.read(terminal, 4096)
            watching.send_signal(signal.SIGINT)
            said = watching.communicate(timeout=60)[1]
        finally:
            watching.kill()
    os.close(other_end)
    os.close(terminal)
    assert (watching.returncode, said) == (0, b"")
