"""A real server of HTTP that does what a test tells it to, path by path."""

import contextlib
import gzip
import hashlib
import re
import socket
import threading
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

BASE = "/base"
BIG = b"".join(i.to_bytes(4, "little") for i in range(300_000))


class Server:
    """``values`` by key; ``plan[key]`` is a list of what the next answers to it are, each a function of the handler."""

    def __init__(self, context=None):
        self.values, self.plan, self.log = {}, {}, []
        self.etags, self.modified, self.ranges, self.zipped, self.extra = True, None, True, False, {}
        self.at_once, self.most, self.counting = 0, 0, threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Handler,), {"home": self}))
        self._server.daemon_threads = True
        if context is not None:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_address[1]
        self.scheme = "http" if context is None else "https"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    @property
    def url(self):
        return f"{self.scheme}://127.0.0.1:{self.port}{BASE}"

    def asked(self, key):
        """Method, status and headers of each request for a key."""
        return [(method, status, headers) for method, path, headers, status in self.log
                if unquote(path) == f"{BASE}/{key}"]

    def close(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True      # or each body would wait for an acknowledgement
    home: Server

    def log_message(self, *_):
        pass

    def handle_one_request(self):
        with contextlib.suppress(ConnectionError):
            super().handle_one_request()

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        home = self.home
        with home.counting:
            home.at_once += 1
            home.most = max(home.most, home.at_once)
        try:
            key = unquote(self.path).removeprefix(f"{BASE}/")
            steps = home.plan.get(key, [])
            if steps:
                steps.pop(0)(self)
            elif key in home.values:
                self.value(home.values[key])
            else:
                self.answer(404, b"there is no such thing")
        finally:
            with home.counting:
                home.at_once -= 1

    def answer(self, status, body=b"", **headers):
        self.home.log.append((self.command, self.path, self.headers, status))
        self.send_response(status)
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if status != 304:
            headers.setdefault("Content-Length", str(len(body)))
        for name, value in (headers | self.home.extra).items():
            if value is not None:
                self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD" and status != 304:
            self.wfile.write(body)

    def versions(self, value):
        told = {"ETag": f'"{hashlib.md5(value).hexdigest()}"'} if self.home.etags else {}
        return told | ({"Last_Modified": self.home.modified} if self.home.modified else {})

    def value(self, value, **headers):
        told = self.versions(value)
        if told.get("ETag") and self.headers.get("If-None-Match") == told["ETag"] or (
                self.home.modified and self.headers.get("If-Modified-Since") == self.home.modified):
            return self.answer(304, **told)
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")) if self.home.ranges else None
        if match and self.headers.get("If-Range", told.get("ETag")) == told.get("ETag"):
            low, high = int(match[1]), min(int(match[2] or len(value)), len(value) - 1)
            if low >= len(value):
                return self.answer(416, Content_Range=f"bytes */{len(value)}")
            return self.answer(206, value[low:high + 1], Content_Range=f"bytes {low}-{high}/{len(value)}", **told)
        if self.home.zipped and "gzip" in self.headers.get("Accept-Encoding", ""):
            return self.answer(200, gzip.compress(value), Content_Encoding="gzip", **told, **headers)
        return self.answer(200, value, **told, **headers)

    def cut(self, value, after):
        """Promise all of it, and lose the connection after some."""
        self.home.log.append((self.command, self.path, self.headers, 200))
        self.send_response(200)
        for name, text in {"Content-Length": str(len(value)), **self.versions(value), **self.home.extra}.items():
            if text is not None:
                self.send_header(name.replace("_", "-"), text)
        self.end_headers()
        self.wfile.write(value[:after])
        self.wfile.flush()
        self.hang_up()

    def hang_up(self):
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)


def dated(seconds):
    return formatdate(seconds, usegmt=True)


def opened(server, **options):
    from door43fast.plugins.http import HttpStore

    return HttpStore(url=server.url, **{"backoff": 0.0, **options})
