"""Stands between a store and its server, and breaks the network where a test wants it broken."""

import contextlib
import socket
import threading


class Proxy:
    """Forwards to ``port``. ``swallow(word, times)``: of the next requests that hold ``word``, let the server have
    them, and close the connection instead of answering. ``freeze()``: answer nothing, and close nothing."""

    def __init__(self, port):
        self.port = port
        self.requests = []
        self._word, self._times, self._cut = None, 0, None
        self._frozen = threading.Event()
        self._pairs = []
        self._server = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self):
        return f"redis://127.0.0.1:{self._server.getsockname()[1]}/0"

    def swallow(self, word, times=1):
        self._word, self._times = word, times

    def cut(self, word):
        """Close the connection at the next request that holds ``word``, and let the server have nothing of it."""
        self._cut = word

    def freeze(self):
        self._frozen.set()

    def thaw(self):
        self._frozen.clear()

    def drop(self):
        """Close every connection."""
        pairs, self._pairs = self._pairs, []
        for one in [end for pair in pairs for end in pair]:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def close(self):
        self._server.close()
        self.drop()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._server.accept()
                server = socket.create_connection(("127.0.0.1", self.port))
                self._pairs.append((client, server))
                mute = threading.Event()
                threading.Thread(target=self._up, args=(client, server, mute), daemon=True).start()
                threading.Thread(target=self._down, args=(client, server, mute), daemon=True).start()

    def _up(self, client, server, mute):
        with contextlib.suppress(OSError):
            while data := client.recv(1 << 16):
                self.requests.append(data)
                if self._cut is not None and self._cut in data:
                    self._cut = None
                    break
                if self._times and self._word in data:
                    self._times -= 1
                    mute.set()
                server.sendall(data)
        for one in (client, server):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _down(self, client, server, mute):
        with contextlib.suppress(OSError):
            while data := server.recv(1 << 16):
                while self._frozen.is_set():
                    self._frozen.wait(0.01) and threading.Event().wait(0.01)
                if mute.is_set():
                    break
                client.sendall(data)
        with contextlib.suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)
