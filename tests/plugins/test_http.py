"""The HTTP store over a real server: versions, failures, redirects, credentials, bounds, pieces."""

import gzip
import os
import pickle
import ssl
import subprocess
import threading
import time

import pytest

import door43fast as d43
from door43fast.plugins.http import HttpStore
from door43fast.testing.awaiting import run
from http_server import BASE, Server, dated

BIG = b"".join(i.to_bytes(4, "little") for i in range(300_000))


@pytest.fixture
def server():
    server = Server()
    yield server
    server.close()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """A certificate for 127.0.0.1 and its key, made here and trusted by nobody else."""
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=here",
                    "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", folder / "key.pem", "-out",
                    folder / "cert.pem"], check=True, capture_output=True, timeout=60)
    return folder


@pytest.fixture
def secure(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    server = Server(context)
    yield server
    server.close()


def opened(server, **options):
    return HttpStore(url=server.url, **{"backoff": 0.0, **options})


# -- keys ----------------------------------------------------------------------------------------------------


def test_keys_are_paths_below_the_base_and_never_leave_it(server):
    keys = ["a", "a b", "a%2Fb", "a?b=c#d", "/a", "//host/a", "http://host/a", "a//b", "é\n\x00", "a/...", "~a", "a\\b"]
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
        with pytest.raises(d43.BackendUnavailableError, match=r"/base/k: the server answers 500, at each of 4 attempts"):
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
        with pytest.raises(d43.BackendUnavailableError, match=r"total_timeout=0\.5"):
            store.get("k")


def test_the_waits_differ_and_double(server):
    from door43fast.plugins.http import exchange
    waits = []
    with opened(server, backoff=1.0, max_wait=3.0) as store:
        made = store._exchange
        made._random.uniform = lambda low, high: waits.append((low, high)) or 0.0
        server.plan["k"] = [lambda h: h.answer(500)] * 4
        with pytest.raises(d43.BackendUnavailableError):
            store.get("k")
    assert waits == [(0, 1.0), (0, 2.0), (0, 3.0)] and isinstance(made, exchange.Exchange)


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

        def drip(handler):
            handler.send_response(200)
            handler.send_header("Content-Length", "1000")
            handler.end_headers()
            while True:
                handler.wfile.write(b".")
                handler.wfile.flush()
                time.sleep(0.02)
        server.plan["k"] = [drip]
        store.options.total_timeout = 0.3
        with pytest.raises(d43.BackendUnavailableError, match="total_timeout"):
            store.get("k")


# -- bodies --------------------------------------------------------------------------------------------------


def test_a_download_that_broke_off_goes_on_where_it_was(server):
    server.values["k"] = BIG
    server.plan["k"] = [lambda h: h.cut(BIG, 500_000), lambda h: h.value(BIG)]
    with opened(server) as store:
        assert store["k"] == BIG
        _, (method, status, headers) = server.asked("k")
        assert status == 206 and int(headers["Range"][6:-1]) > 0 and "If-Range" in headers
        # Replaced meanwhile: it comes anew, and nothing of the old is left.
        server.plan["k"] = [lambda h: h.cut(BIG, 500_000), lambda h: h.value(b"other" * 1000)]
        store._keep("k", None)
        assert store["k"] == b"other" * 1000
        # Shorter than what came before: the server has no such rest.
        server.plan["k"] = [lambda h: h.cut(BIG, 500_000), lambda h: h.answer(416)]
        server.values["k"] = b"short"
        store._keep("k", None)
        assert store["k"] == b"short"


@pytest.mark.parametrize("etag", [None, 'W/"weak"'])
def test_without_a_strong_version_it_comes_anew(server, etag):
    server.etags = False
    server.extra = {"ETag": etag}
    server.values["k"] = BIG
    server.plan["k"] = [lambda h: h.cut(BIG, 500_000)]
    with opened(server) as store:
        assert store["k"] == BIG and "Range" not in server.asked("k")[1][2]


def test_no_more_than_max_value(server):
    server.values.update({"k": b"x" * 1000, "l": b"x" * 1001})
    for zipped in (False, True):
        server.zipped = zipped
        with opened(server, max_value=1000) as store:
            assert store["k"] == b"x" * 1000 and "l" in store
            with pytest.raises(d43.BudgetError, match=r"/base/l .*max_value=1000"):
                store.get("l")


def test_a_bomb_is_not_unpacked(server):
    """100 MB of zeros in 100 KB: what is unpacked ends with the byte that is too many."""
    import tracemalloc
    bomb = gzip.compress(bytes(100_000_000))
    assert len(bomb) < 100_000
    server.plan["k"] = [lambda h: h.answer(200, bomb, Content_Encoding="gzip")]
    with opened(server, max_value="1MB") as store:
        tracemalloc.start()
        try:
            with pytest.raises(d43.BudgetError):
                store.get("k")
            assert tracemalloc.get_traced_memory()[1] < 8_000_000
        finally:
            tracemalloc.stop()


def test_encodings(server):
    server.zipped = True
    server.values["k"] = BIG
    with opened(server) as store:
        assert store["k"] == BIG == store["k"]
        for body, encoding, words in ((b"?", "br", "'br'"), (b"no gzip", "gzip", "no gzip"),
                                      (gzip.compress(BIG)[:-20], "gzip", "breaks off")):
            server.plan["k"] = [lambda h, b=body, e=encoding: h.answer(200, b, Content_Encoding=e)]
            store._keep("k", None)
            with pytest.raises(d43.BackendUnavailableError, match=words):
                store.get("k")


def test_codecs(server):
    server.values.update({"t": "наро́д".encode(), "j": b'{"a": [1, null]}', "bad": b"\xff\xfe"})
    with opened(server, codec="text") as store:
        assert store["t"] == "наро́д"
        with pytest.raises(d43.CorruptError):
            store["bad"]
        for call in (lambda: store.get_packed(["t"]), lambda: store.reader("t")):
            with pytest.raises(d43.UnsupportedError):
                call()
    with opened(server, codec="json") as store:
        assert store["j"] == {"a": [1, None]} and store.get_many(["j", "-"]) == [{"a": [1, None]}, None]
        with pytest.raises(d43.CorruptError):
            store["t"]


# -- pieces --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ranges", [True, False])
def test_pieces(server, ranges):
    server.ranges = ranges
    server.values.update({"k": BIG, "empty": b"", "small": b"abc"})
    with opened(server) as store:
        with store.reader("k") as file:
            assert file.size == len(BIG) and file.read(10) == BIG[:10]
            assert file.seek(-8, 2) and file.read() == BIG[-8:] and file.seek(700_001) and file.read(9) == BIG[
                700_001:700_010]
            assert file.seek(0) == 0 and file.read() == BIG and file.read(1) == b""
        assert len(server.asked("k")) == (1 if not ranges else len(server.asked("k"))) >= 1
        assert store.reader("empty").read() == b"" and store.reader("small").read() == b"abc"
        with pytest.raises(KeyError):
            store.reader("missing")
        if ranges:
            asked = len(server.log)
            with store.reader("k") as file:
                file.seek(1_000_000)
                assert file.read(100) == BIG[1_000_000:1_000_100]
            assert len(server.log) - asked == 2     # a piece to know its size, a piece of what was asked
            with opened(server, max_value="512KB") as small, small.reader("k") as file:      # no more than a piece
                assert file.read() == BIG


@pytest.mark.parametrize("change", ["other", "longer", "gone"])
def test_pieces_of_two_versions_are_never_mixed(server, change):
    for etags in (True, False):
        server.etags = etags
        server.values["k"] = BIG
        with opened(server) as store, store.reader("k") as file:
            assert file.read(10) == BIG[:10]
            if change == "gone":
                del server.values["k"]
            else:
                server.values["k"] = BIG[::-1] if change == "other" and etags else BIG + b"more"
            with pytest.raises(d43.ConflictError, match="anew"):
                file.read()


def test_a_piece_that_breaks_off_is_asked_for_again(server):
    server.values["k"] = BIG

    def cut(handler):
        handler.send_response(206)
        handler.send_header("Content-Range", f"bytes 0-262143/{len(BIG)}")
        handler.send_header("Content-Length", "262144")
        handler.end_headers()
        handler.wfile.write(BIG[:1000])
        handler.wfile.flush()
        handler.hang_up()
    server.plan["k"] = [cut]
    with opened(server) as store, store.reader("k") as file:
        assert file.read() == BIG


# -- redirects, credentials ----------------------------------------------------------------------------------


def test_redirects(server):
    server.values["new"] = b"value"
    with opened(server) as store:
        for status in (301, 302, 303, 307, 308):
            for place in (f"{BASE}/new", "new", f"{server.url}/new"):
                server.plan["k"] = [lambda h, s=status, p=place: h.answer(s, Location=p)]
                assert store["k"] == b"value"
        server.plan["folder"] = [lambda h: h.answer(301, Location="folder/")] * 2
        assert store.get("folder") is None and "folder" not in store       # what a server says of a folder
        server.plan["k"] = [lambda h: h.answer(302, Location="k")] * 20
        with pytest.raises(d43.BackendUnavailableError, match="more than 5 times"):
            store.get("k")
        server.plan["k"] = []
        for place in ("ftp://127.0.0.1/k", "file:///etc/passwd", "http://me:hush@127.0.0.1/", "http://example.org/",
                      "//example.org/k"):
            server.plan["k"] = [lambda h, p=place: h.answer(302, Location=p)]
            with pytest.raises(d43.BackendUnavailableError) as error:
                store.get("k")
            assert "hush" not in str(error.value) and "sends to" in str(error.value)
    with opened(server, redirects="none") as store:
        server.plan["k"] = [lambda h: h.answer(302, Location="new")]
        with pytest.raises(d43.BackendUnavailableError, match="redirects='none'"):
            store.get("k")


def test_credentials_go_to_their_host_alone(server):
    other = Server()
    other.values["k"] = b"theirs"
    away = other.url.replace("127.0.0.1", "localhost")
    try:
        for options, wanted in (({"url": server.url.replace("//", "//me:h%40sh@")}, "Basic bWU6aEBzaA=="),
                                ({"url": server.url, "token": "hush"}, "Bearer hush")):
            with HttpStore(**options, redirects="any") as store:
                server.plan["k"] = [lambda h: h.answer(302, Location=f"{away}/k")]
                assert store["k"] == b"theirs"
                assert server.log[-1][2]["Authorization"] == wanted and "Authorization" not in other.log[-1][2]
                assert "sh" not in repr(store.options).replace("share", "")
                server.plan["k"] = [lambda h: h.answer(401)]
                with pytest.raises(d43.BackendUnavailableError, match="token=") as error:
                    store.get("k")
                assert "h@sh" not in str(error.value) and "h%40sh" not in str(error.value)
    finally:
        other.close()


def test_tls(secure, certificate, server):
    secure.values["k"] = b"value"
    with pytest.raises(d43.BackendUnavailableError, match="certificate"), HttpStore(url=secure.url) as store:
        store.get("k")
    assert secure.log == []
    ca = str(certificate / "cert.pem")
    with d43.open(f"{secure.url}?tls_ca={ca}") as store:
        assert store["k"] == b"value" == store["k"]
        secure.plan["k"] = [lambda h: h.answer(302, Location=f"{server.url}/k")]
        with pytest.raises(d43.BackendUnavailableError, match="from https to http"):
            store.get("k")
        assert server.log == []
    with HttpStore(url=server.url, tls_ca=ca, token="hush") as store:       # the better way is allowed
        server.plan["k"] = [lambda h: h.answer(301, Location=f"{secure.url}/k")]
        assert store["k"] == b"value" and secure.log[-1][2]["Authorization"] == "Bearer hush"


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
