"""A package of somebody else's, installed as its user would, beside a door43fast that knows nothing of it; servers."""

import os
import shutil
import ssl
import subprocess
import sys
from pathlib import Path

import pytest

from http_server import Server

ROOT = Path(__file__).parents[2]


class Installed:
    """Runs Python where the package is installed."""

    def __init__(self, folder):
        self.folder = folder

    def __call__(self, code, *arguments):
        path = os.pathsep.join([str(self.folder), str(ROOT)])
        done = subprocess.run([sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True,
                              env=os.environ | {"PYTHONPATH": path}, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="session")
def installed(tmp_path_factory):
    source = tmp_path_factory.mktemp("source") / "thirdparty"
    shutil.copytree(Path(__file__).parent / "thirdparty", source)
    target = tmp_path_factory.mktemp("site")
    subprocess.run([sys.executable, "-m", "pip", "--quiet", "install", "--no-index", "--no-deps",
                    "--no-build-isolation", "--target", str(target), str(source)], check=True, timeout=300)
    return Installed(target)


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
