"""Stands between a store and its server, and breaks the network where a test wants it broken."""

import contextlib
import socket
import threading
import time


class Proxy:
    """Forwards to ``port``. ``swallow(word, times)``: of the next requests that hold ``word``, let the server have
    them, and close the connection instead of answering. ``freeze(word)``: on connections on which ``word`` was ever
    sent, answer nothing, and close nothing; without one, on all. ``drop(word)`` closes these."""

    def __init__(self, port):
        self.port = port
        self._word, self._times, self._cut = None, 0, None
        self._frozen = None
        self._pairs = {}        # of client and server, and all that was sent up to now
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

    def freeze(self, word=b""):
        self._frozen = word

    def thaw(self):
        self._frozen = None

    def drop(self, word=b""):
        for pair, sent in list(self._pairs.items()):
            if word in sent:
                del self._pairs[pair]
                for one in pair:
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
                self._pairs[client, server] = b""
                mute = threading.Event()
                threading.Thread(target=self._up, args=(client, server, mute), daemon=True).start()
                threading.Thread(target=self._down, args=(client, server, mute), daemon=True).start()

    def _up(self, client, server, mute):
        with contextlib.suppress(OSError):
            while data := client.recv(1 << 16):
                if (client, server) in self._pairs:
                    self._pairs[client, server] += data[:1000]
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
                while self._frozen is not None and self._frozen in self._pairs.get((client, server), b""):
                    time.sleep(0.005)
                if mute.is_set():
                    break
                client.sendall(data)
        with contextlib.suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)
