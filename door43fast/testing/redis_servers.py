"""Redis servers of a test's or a benchmark's own: on free ports, with nothing on disk, gone when they are left."""

from __future__ import annotations

import atexit
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from door43fast.errors import BackendUnavailableError

START = 20.0        # seconds that a server is waited for
NODE_TIMEOUT = 1000     # milliseconds after which a cluster takes a silent node for dead


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def program(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise BackendUnavailableError(f"{name} is not installed: apt-get install redis-server")
    return path


class RedisServer:
    """One ``redis-server``. ``options`` are lines of its configuration, such as ``"maxmemory 1mb"``."""

    def __init__(self, folder: Any, options: Sequence[str] = (), *, port: int | None = None) -> None:
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = port or free_ports(1)[0]
        self.options = list(options)
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        lines = ["bind 127.0.0.1", f"port {self.port}", 'save ""', "appendonly no", f"dir {self.folder}",
                 "enable-debug-command local", *self.options]
        (self.folder / "redis.conf").write_text("\n".join(lines) + "\n")
        command = [program("redis-server"), str(self.folder / "redis.conf")]
        guard = shutil.which("setpriv")
        if guard is not None:       # so that it also goes where whoever started it is killed
            command = [guard, "--pdeathsig", "KILL", *command]
        with open(self.folder / "log", "ab") as log:
            # Not with what a test's own process was preloaded with, such as a sanitizer.
            self.process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env={
                name: value for name, value in os.environ.items() if name != "LD_PRELOAD"})
        atexit.register(self.kill)
        end = time.monotonic() + START
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > end:
                self.kill()
                raise BackendUnavailableError(f"redis-server did not start: see {self.folder / 'log'}")
            time.sleep(0.01)

    def _answers(self) -> bool:
        """Whether somebody listens."""
        port = next((int(line.split()[1]) for line in self.options if line.startswith("tls-port")), self.port)
        with closing(socket.socket()) as one:
            one.settimeout(1)
            if one.connect_ex(("127.0.0.1", port)):
                return False
            if port != self.port:
                return True
            one.sendall(b"PING\r\n")
            return one.recv(16)[:1] in (b"+", b"-")

    def ask(self, *words: Any) -> Any:
        """What the server says to a command, as text."""
        done = subprocess.run([program("redis-cli"), "-p", str(self.port), *map(str, words)], capture_output=True,
                              timeout=30, check=True, env={"PATH": os.environ["PATH"]})
        return done.stdout.decode(errors="replace").rstrip("\n")

    def kill(self) -> None:
        """``kill -9``; a second time does nothing."""
        atexit.unregister(self.kill)
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


@contextmanager
def redis_server(folder: Any, options: Sequence[str] = ()) -> Iterator[RedisServer]:
    """One server, as long as the block lasts."""
    server = RedisServer(folder, options)
    try:
        yield server
    finally:
        server.kill()


class RedisCluster:
    """Six servers as a cluster: three primaries, each with a replica."""

    def __init__(self, folder: Any) -> None:
        ports = free_ports(12)
        self.nodes: list[RedisServer] = []
        try:
            for port, bus in zip(ports[:6], ports[6:], strict=True):
                self.nodes.append(RedisServer(Path(folder) / str(port), [
                    "cluster-enabled yes", f"cluster-port {bus}", f"cluster-node-timeout {NODE_TIMEOUT}",
                    "cluster-require-full-coverage no", "repl-diskless-sync-delay 0", "repl-ping-replica-period 1"],
                    port=port))
            subprocess.run([program("redis-cli"), "--cluster", "create", *(f"127.0.0.1:{port}" for port in ports[:6]),
                            "--cluster-replicas", "1", "--cluster-yes"], check=True, capture_output=True, timeout=60)
            self.settle()
        except BaseException:
            self.kill()
            raise

    @property
    def url(self) -> str:
        return "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)

    def settle(self) -> None:
        """Wait until all nodes that run agree that every slot is served, and every primary has its replicas."""
        end = time.monotonic() + START
        while not all(self._settled(node) for node in self.nodes if node.process is not None):
            if time.monotonic() > end:
                raise BackendUnavailableError(f"the cluster has not settled: {self.nodes[0].ask('cluster', 'nodes')}")
            time.sleep(0.05)

    @staticmethod
    def _settled(node: RedisServer) -> bool:
        info = node.ask("cluster", "info")
        replication = node.ask("info", "replication")
        return ("cluster_state:ok" in info and "cluster_slots_ok:16384" in info and "cluster_known_nodes:6" in info
                and ("master_link_status:up" in replication or "state=online" in replication
                     or "role:master" in replication and "connected_slaves:0" not in replication))

    def primary_of(self, key: str) -> RedisServer:
        """The node that serves a key now."""
        alive = next(node for node in self.nodes if node.process is not None)
        slot = int(alive.ask("cluster", "keyslot", key))
        for line in alive.ask("cluster", "nodes").splitlines():
            words = line.split()
            for span in words[8:] if "master" in words[2] and "fail" not in words[2] else ():
                first, _, last = span.partition("-")
                if first.isdecimal() and int(first) <= slot <= int(last or first):
                    port = int(words[1].split("@")[0].split(":")[1])
                    return next(node for node in self.nodes if node.port == port)
        raise BackendUnavailableError(f"no node serves the slot {slot}")

    def kill(self) -> None:
        for node in self.nodes:
            node.kill()


@contextmanager
def redis_cluster(folder: Any) -> Iterator[RedisCluster]:
    """A cluster, as long as the block lasts."""
    cluster = RedisCluster(folder)
    try:
        yield cluster
    finally:
        cluster.kill()
