"""The Redis backend: users and passwords in a URL, which are never shown, its options, TLS."""

import pickle
import re
import subprocess
from pathlib import Path

import pytest

import door43fast as d43
from door43fast.plugins.redis import RedisOptions, RedisStore
from door43fast.testing.redis_servers import free_ports, redis_server


PAGE = Path(__file__).parents[2] / "docs" / "backends.md"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """A server with a user that may do what docs/backends.md says is needed, and nothing else."""
    folder = tmp_path_factory.mktemp("guarded")
    rights = re.search(r"ACL SETUSER books on >password (.*?)\n```", PAGE.read_text(), re.DOTALL).group(1)
    acl = f"user me on >hush~p@ss/word {' '.join(rights.replace('~books:', '~d43:').split())}"
    with redis_server(folder, ["user default off", acl]) as server:
        yield server


def test_a_user_and_a_password_in_the_url(guarded):
    url = f"redis://me:hush~p%40ss%2Fword@127.0.0.1:{guarded.port}/0"
    with d43.open(url) as store:
        store.set("k", 1, ttl=50, tags=("t",))
        assert store.incr("k") == 2 and dict(store.scan()) == {"k": 2} and store.get_many(["k", "x"]) == [2, None]
        assert "hush" not in repr(store) + repr(store.options) and str(guarded.port) in repr(store)
        with pickle.loads(pickle.dumps(store)) as again:
            assert again["k"] == 2
        store.set_many({f"k{i}": i for i in range(2000)})
        store.set_many({"a": 1, "b": 2}, ttl=50)
        with store.transaction() as t:
            t["c"] = t.count("k")
        assert store["c"] == 2001 and store.touch("c", 5) and store.delete_many(["a", "b", "x"]) == 2
        store.invalidate("t")
        assert store.verify()["errors"] == [] and store.expire() == 0
        store.clear()
        assert len(store) == 0
    with d43.open(url, memory="1MB") as store:
        store["k"] = 1
        assert store["k"] == 1
    with pytest.raises(d43.BackendUnavailableError, match="does not let this user"), \
            d43.open(url, namespace="other") as store:
        store["k"] = 1


@pytest.mark.parametrize("url", ["redis://me:hushwrong@127.0.0.1:{}/0", "redis://:hushwrong@127.0.0.1:{}/0"])
def test_a_wrong_password_is_told_and_not_shown(guarded, url):
    with pytest.raises(d43.BackendUnavailableError, match="refused the user or the password") as error:
        d43.open(url.format(guarded.port))
    assert "hush" not in str(error.value) and str(guarded.port) in str(error.value)


@pytest.mark.parametrize("url", [
    "redis://me:hush@", "redis://me:hush@host:x", "redis://me:hush@host:70000", "redis://me:hu@sh@host/x",
    "redis+cluster://me:hush@host/1", "redis://me:hush/or#so@host", "redis+cluster://me:hush@a,,b"])
def test_a_url_that_is_wrong_is_refused_without_its_password(url):
    with pytest.raises(d43.ConfigError) as error:
        d43.open(url)
    assert "hu" not in str(error.value).replace("***", "") and "sh@" not in str(error.value)


def test_options_in_the_url(redis):
    with d43.open(f"{redis.url}?namespace=in-url&timeout=2s&wait_timeout=500ms&batch_keys=10&staleness=3s&memory=1MB"
                  ) as store:
        options = store.slow.options
        assert (options.namespace, options.timeout, options.batch_keys, options.staleness) == ("in-url", 2.0, 10, 3.0)
        store["k"] = 1
        with pickle.loads(pickle.dumps(store)) as again:
            assert again["k"] == 1 and again.slow.options.namespace == "in-url"
        store.clear()
    with d43.open({"type": "redis", "url": redis.url, "namespace": "in-plan", "memory": "1MB"}) as store:
        store["k"] = 1
        assert store["k"] == 1 and "in-plan" in repr(store.slow.options)
        store.clear()


def test_options_that_are_wrong():
    for options, words in (({"timeout": 0}, "timeout"), ({"wait_replicas": 1, "wait_timeout": 9}, "wait_timeout"),
                           ({"tls_ca": "x"}, "rediss"), ({"tls": True, "tls_cert": "x"}, "tls_key"),
                           ({"retries": -1}, "retries"), ({"namespaces": "x"}, "namespace")):
        with pytest.raises(d43.ConfigError, match=words):
            d43.open("redis://127.0.0.1:1", **options)
    with pytest.raises(d43.ConfigError, match="scheme"):
        RedisStore(url="http://host")
    assert "***" in repr(RedisOptions(url="redis://:hush@host"))


def certificate(folder):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", folder / "key.pem", "-out",
                    folder / "cert.pem"], check=True, capture_output=True, timeout=60)


def test_tls(tmp_path):
    certificate(tmp_path)
    port = free_ports(1)[0]
    with redis_server(tmp_path / "server", [
            f"tls-port {port}", f"tls-cert-file {tmp_path}/cert.pem", f"tls-key-file {tmp_path}/key.pem",
            f"tls-ca-cert-file {tmp_path}/cert.pem", "tls-auth-clients no", "port 0"]):
        with d43.open(f"rediss://localhost:{port}", tls_ca=str(tmp_path / "cert.pem"), memory="1MB") as store:
            store["k"] = 1
            assert store["k"] == 1 and store.get_many(["k"]) == [1]
        with pytest.raises(d43.BackendUnavailableError, match="cannot be reached.*certificate"):
            d43.open(f"rediss://localhost:{port}")
        with pytest.raises(d43.BackendUnavailableError):
            d43.open(f"redis://localhost:{port}", timeout=1, wait_timeout=0.1)
