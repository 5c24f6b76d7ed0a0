"""The HTTP store over a real server: keys, versions, failures, many at once, open and closed."""

import os
import pickle
import random
import subprocess
import threading
import time

import pytest

import door43fast as d43
from door43fast.plugins.http import HttpStore
from door43fast.testing.awaiting import run
from http_server import BASE, BIG, Server, dated, opened

# -- keys ----------------------------------------------------------------------------------------------------


def test_keys_are_paths_below_the_base_and_never_leave_it(server):
    keys = ["a", "a b", "a%2Fb", "a?b=c#d", "/a", "//host/a", "http://host/a", "a//b", "é\n\x00", "a/...", "~a",
            "a\\b"]
    server.values.update({key: key.encode() for key in keys})
    with opened(server) as store:
        for key in keys:
            assert store[key] == key.encode() and store.url_of(key).startswith(f"{server.url}/")
        assert all(path.startswith(f"{BASE}/") and path.isascii() for _, path, _, _ in server.log)
        asked = len(server.log)
        for key in ("..", ".", "../a", "a/../b", "a/./b", "a/..", "..\\a", "a\\..\\b"):
            for call in (lambda: store.get(key), lambda: key in store, lambda: store.get_many(["a", key]),  # noqa: B023
                         lambda: store.reader(key)):    # noqa: B023
                with pytest.raises(ValueError, match=r"'\.\.'"):
                    call()
        with pytest.raises(d43.KeyTooLongError):
            store.get("k" * 9000)
        assert len(server.log) == asked


def test_urls_that_are_no_base():
    for url in ("http://", "ftp://host/", "http://host/?a=b", "http://host/a#b", "http://host/a/../b", "http://h:port/",
                "/path", "http://host/%2e%2e/"):
        with pytest.raises(d43.ConfigError, match="url="):
            HttpStore(url=url)
    with pytest.raises(d43.ConfigError, match="token"):
        HttpStore(url="http://me:hush@host/", token="hush")
    for token in ("hush\n", "hu sh", "hush\u00e9"):
        with pytest.raises(d43.ConfigError, match="token=") as error:
            HttpStore(url="http://host/", token=token)
        assert "hush" not in str(error.value) and "hu sh" not in str(error.value)
    with pytest.raises(d43.ConfigError, match="tls_ca"):
        HttpStore(url="https://host/", tls_ca="/nowhere/ca.pem")


# -- versions ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["etags", "dates"])
def test_what_has_not_changed_is_not_sent_again(server, how):
    if how == "dates":
        server.etags, server.modified = False, dated(1_700_000_000)
    server.values["k"] = BIG
    with opened(server) as store:
        assert [store["k"] for _ in range(3)] == [BIG] * 3 == [store.get("k"), *store.get_many(["k", "k"])]
        assert [status for _, status, _ in server.asked("k")] == [200, 304, 304, 304, 304]
        server.values["k"], server.modified = b"new", server.modified and dated(1_700_000_100)
        assert store["k"] == b"new" == store["k"]
        assert [status for _, status, _ in server.asked("k")][5:] == [200, 304]
        del server.values["k"]
        assert store.get("k") is None and "k" not in store
        server.values["k"] = b"back"
        assert store["k"] == b"back"


def test_what_is_kept_is_bounded(server):
    server.values.update({f"k{i}": b"x" * 10_000 for i in range(20)})
    with opened(server, cache_bytes=50_000) as store:
        for _ in range(2):
            for i in range(20):
                assert store[f"k{i}"] == b"x" * 10_000
                assert store.stats()["bytes"] <= 50_000
        assert {status for _, _, _, status in server.log} == {200}     # the oldest went first
        assert store["k19"] and server.log[-1][3] == 304
        server.values["big"] = BIG
        assert store["big"] == BIG and store["k19"] and server.log[-1][3] == 304
    for options, extra in (({"cache_bytes": 0}, {}), ({}, {"Cache-Control": "private, no-store"})):
        server.extra = extra
        with opened(server, **options) as store:
            assert store["k1"] and store["k1"] and server.log[-1][3] == 200 and store.stats()["bytes"] == 0


def test_a_memory_tier_asks_again_when_its_time_has_passed(server):
    from door43fast.native.clock import ManualClock
    clock = ManualClock()
    server.values["k"] = b"one"
    with d43.cascade(d43.MemoryStore(clock=clock), opened(server, staleness=60)) as store:
        assert [store["k"] for _ in range(5)] == [b"one"] * 5 == store.get_many(["k"] * 5) and len(server.log) == 1
        server.values["k"] = b"two"
        clock.advance(59)
        assert store["k"] == b"one" and len(server.log) == 1
        clock.advance(2)
        assert store["k"] == b"two" == store["k"] and len(server.log) == 2
        with pytest.raises(d43.UnsupportedError):
            store["k"] = b"three"
        assert store["k"] == b"two"
    asked = len(server.log)
    with d43.open(f"{server.url}?memory=1MB&staleness=5m&retries=0") as store:
        assert store["k"] == b"two" == store["k"] and len(server.log) == asked + 1
        assert 290 < store.fast.ttl("k") <= 300.1


def test_a_store_on_disk_over_it(server, tmp_path):
    server.values["k"] = b"one"
    with d43.LmdbStore(tmp_path / "disk") as disk, opened(server) as store:
        for _ in range(3):
            assert disk.get_or_compute("k", lambda: store["k"], ttl=3600) == b"one"
        with pytest.raises(KeyError):
            disk.get_or_compute("missing", lambda: store["missing"])
        assert len(server.asked("k")) == 1 and "missing" not in disk


# -- failures ------------------------------------------------------------------------------------------------


def test_what_may_pass_is_asked_again(server):
    server.values["k"] = b"value"
    server.plan["k"] = [lambda h: h.answer(503), lambda h: h.answer(429, Retry_After="0"), lambda h: h.hang_up()]
    with opened(server) as store:
        assert store["k"] == b"value" and [status for _, status, _ in server.asked("k")] == [503, 429, 200]
        server.plan["k"] = [lambda h: h.answer(500)] * 4
        with pytest.raises(d43.BackendUnavailableError, match=r"/base/k: the server answers 500, at each of 4 attem"):
            store.get("k")
        assert store["k"] == b"value"
    server.plan["k"] = [lambda h: h.answer(500)]
    with opened(server, retries=0) as store, pytest.raises(d43.BackendUnavailableError, match="1 attempts"):
        store.get("k")


def test_waiting_is_the_servers_wish_within_a_bound(server):
    server.values["k"] = b"value"
    server.plan["k"] = [lambda h: h.answer(503, Retry_After="1"),
                        lambda h: h.answer(503, Retry_After=dated(time.time() - 50))]
    with opened(server) as store:
        began = time.monotonic()
        assert store["k"] == b"value" and time.monotonic() - began >= 1
        for wish in ("3600", dated(time.time() + 3600)):
            server.plan["k"] = [lambda h, wish=wish: h.answer(503, Retry_After=wish)]
            with pytest.raises(d43.BackendUnavailableError, match=r"max_wait=10"):
                store.get("k")
            assert store["k"] == b"value"
    with opened(server, total_timeout=0.5) as store:
        server.plan["k"] = [lambda h: h.answer(503, Retry_After="1")]
        asked = len(server.asked("k"))
        with pytest.raises(d43.BackendUnavailableError, match=r"total_timeout=0\.5"):
            store.get("k")
        assert len(server.asked("k")) == asked + 1


def test_the_waits_differ_and_double(server):
    waits = []

    class Noted(random.Random):
        def uniform(self, low, high):
            waits.append((low, high))
            return low
    with opened(server, backoff=1.0, max_wait=3.0) as store:
        store._exchange._random = Noted()
        server.plan["k"] = [lambda h: h.answer(500)] * 4
        with pytest.raises(d43.BackendUnavailableError):
            store.get("k")
    assert waits == [(0, 1.0), (0, 2.0), (0, 3.0)]


@pytest.mark.parametrize("status", [204, 206, 300, 304, 305, 400, 401, 403, 405, 416, 501, 511])
def test_any_other_answer_is_no_value_and_no_absence(server, status):
    server.plan["k"] = [lambda h: h.answer(status, b"" if status == 204 else b"what?")]
    with opened(server) as store, pytest.raises(d43.BackendUnavailableError, match=rf"/base/k.*{status}"):
        store.get("k")
    assert len(server.asked("k")) == 1


@pytest.mark.parametrize("status", [404, 410])
def test_what_is_not_there(server, status):
    server.plan["k"] = [lambda h: h.answer(status, b"no")] * 3
    with opened(server) as store:
        assert store.get("k", 7) == 7 and "k" not in store
        with pytest.raises(KeyError):
            store["k"]


def test_a_server_without_head(server):
    server.values["k"] = b"value"
    with opened(server) as store:
        for status in (405, 501):
            for key, there in (("k", True), ("missing", False)):
                server.plan[key] = [lambda h: h.answer(status)]     # noqa: B023
                assert (key in store) is there
        assert "k" in store and [method for method, _, _ in server.asked("k")] == ["HEAD", "GET"] * 2 + ["HEAD"]


def test_no_server_at_all():
    gone = Server()
    gone.close()
    with HttpStore(url=gone.url.replace("//", "//me:hush@"), retries=1, backoff=0) as store:
        with pytest.raises(d43.BackendUnavailableError) as error:
            store.get("k")
        assert "hush" not in str(error.value) + repr(store.options) and f"{gone.url}/k" in str(error.value)


def test_a_server_that_says_nothing(server):
    ended = threading.Event()
    server.plan["k"] = [lambda h: ended.wait(30)] * 2
    with opened(server, timeout=0.1, retries=1) as store:
        with pytest.raises(d43.BackendUnavailableError, match="ReadTimeout.*2 attempts"):
            store.get("k")
        ended.set()

        dripped = []

        def drip(handler):
            handler.send_response(200)
            handler.send_header("Content-Length", "1000")
            handler.end_headers()
            while True:
                handler.wfile.write(b".")
                handler.wfile.flush()
                dripped.append(1)
                time.sleep(0.02)
        server.plan["k"] = [drip]
        store.options.total_timeout = 0.3
        with pytest.raises(d43.BackendUnavailableError, match="total_timeout"):
            store.get("k")
        assert 0 < len(dripped) < 900       # of the thousand that were promised


# -- many at once, open and closed ---------------------------------------------------------------------------


def test_a_batch_asks_for_several_at_once_within_a_bound(server):
    together = threading.Barrier(4)

    def wait(handler):
        together.wait(30)       # answers nobody before four are here
        handler.value(b"value")
    keys = [f"k{i}" for i in range(16)]
    server.plan.update({key: [wait] for key in keys})
    with opened(server, connections=4) as store:
        assert store.get_many([*keys, *keys]) == [b"value"] * 32
        assert server.most == 4 and len(server.log) == 16      # each key once
        server.values.update({key: b"v" for key in keys})
        assert store.contains_many([*keys, "missing"]) == [True] * 16 + [False]
        server.plan["k7"] = [lambda h: h.answer(403)]
        with pytest.raises(d43.BackendUnavailableError, match="/base/k7"):
            store.get_many(keys)


def test_closing_waits_for_what_is_under_way_and_gives_up_what_waits(server):
    asked, go, results = threading.Event(), threading.Event(), []

    def slow(handler):
        asked.set()
        go.wait(30)
        handler.value(b"value")
    server.plan["k"] = [slow]
    server.plan["l"] = [lambda h: h.answer(503, Retry_After="9")]
    store = opened(server)

    def call(key):
        try:
            results.append(store[key])
        except d43.ClosedError as error:
            results.append(str(error))
    threads = [threading.Thread(target=call, args=(key,)) for key in ("k", "l")]
    for thread in threads:
        thread.start()
    assert asked.wait(30)
    while not server.asked("l"):
        time.sleep(0.001)
    closing = threading.Thread(target=store.close)
    closing.start()
    threads[1].join(5)      # it would have waited for nine seconds
    assert len(results) == 1 and "was closed" in results[0] and closing.is_alive()
    go.set()
    for thread in (*threads, closing):
        thread.join(30)
    assert results[1] == b"value" and store.closed
    with pytest.raises(d43.ClosedError):
        store.get_many(["a", "b"])


def test_as_coroutines_many_at_once(server):
    import asyncio
    together = threading.Barrier(3)

    def wait(handler):
        together.wait(30)
        handler.value(b"value")
    server.plan.update({f"k{i}": [wait] for i in range(3)})

    async def main():
        assert await asyncio.gather(*[store.aio.get(f"k{i}") for i in range(3)]) == [b"value"] * 3
    with opened(server) as store:
        run(main())


def test_pickles_and_goes_over_a_fork(server):
    server.values["k"] = b"value"
    with opened(server, token="hush") as store:
        assert store["k"] == b"value"
        with pickle.loads(pickle.dumps(store)) as other:
            assert other["k"] == b"value" and other.options == store.options
        child = os.fork()
        if not child:
            code = 1
            try:
                code = 0 if store.get_many(["k", "-"]) == [b"value", None] else 2
                store.close()
            finally:
                os._exit(code)
        assert store["k"] == b"value"
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0 and store["k"] == b"value"


def test_without_httpx_it_says_what_to_install(tmp_path):
    """As it is where the extra was not installed."""
    import sys
    (tmp_path / "httpx.py").write_text("raise ImportError('no httpx here')")
    code = ("import door43fast as d43\nfrom door43fast.plugins import registry\nabout = registry.about('https')\n"
            "print(about.available, about.remedy)\n"
            "try:\n    d43.open('https://host/')\nexcept d43.BackendUnavailableError as error:\n    print(error)\n")
    said = subprocess.run([sys.executable, "-c", code], text=True, capture_output=True, timeout=60, check=True,
                          env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}).stdout
    assert said.startswith("False install door43fast[http]") and "no httpx here" in said
