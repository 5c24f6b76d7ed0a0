"""The HTTP store over a real server: bodies that break off or swell, pieces, redirects, credentials, TLS."""

import gzip

import pytest

import door43fast as d43
from door43fast.plugins.http import HttpStore
from http_server import BASE, BIG, Server, opened


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
            server.plan["m"] = [lambda h: h.cut(bytes(2000), 0)]     # what is announced as too long is not waited for
            with pytest.raises(d43.BudgetError, match="has 2000 bytes"):
                store.get("m")


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
        server.values["folder/"] = b"<a href=file>"
        server.plan["folder"] = [lambda h: h.answer(301, Location="folder/")] * 2
        assert store.get("folder") is None and "folder" not in store       # what a server says of a folder
        server.plan["k"] = [lambda h: h.answer(302, Location="k")] * 20
        asked = len(server.asked("k"))
        with pytest.raises(d43.BackendUnavailableError, match="more than 5 times"):
            store.get("k")
        assert len(server.asked("k")) == asked + 6
        server.plan["k"] = []
        for place in ("ftp://127.0.0.1/k", "file:///etc/passwd", "http://me:hush@127.0.0.1/", "http://example.org/",
                      "//example.org/k"):
            server.plan["k"] = [lambda h, p=place: h.answer(302, Location=p)]
            with pytest.raises(d43.BackendUnavailableError) as error:
                store.get("k")
            assert "hush" not in str(error.value) and "sends to" in str(error.value)
        server.plan["k"] = [lambda h: h.answer(302, Location="http://example.org/k?X-Signature=hush&a=b")]
        with pytest.raises(d43.BackendUnavailableError, match=r"example\.org/k\?\.\.\., which") as error:
            store.get("k")
        assert "hush" not in str(error.value)
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
    with pytest.raises(d43.BackendUnavailableError, match="certificate is not trusted"), HttpStore(
            url=secure.url) as store:
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
