"""For all tests: a loaded machine must not decide, so no example of Hypothesis has a time limit; and servers of Redis,
one and a cluster, for the whole run: where they cannot be started, what asks for them fails."""

import gc

import pytest
from hypothesis import settings

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


def pytest_collection_finish(session):
    """What pytest holds for 30,000 tests is not walked over at each collection: that is 0.4 s of each."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def collecting():
    """The engine in plain Python holds back the collector of garbage: it must never be left so."""
    yield
    assert gc.isenabled()


@pytest.fixture(scope="session")
def redis(tmp_path_factory):
    from door43fast.testing.redis_servers import redis_server

    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="session")
def redis_cluster(tmp_path_factory):
    from door43fast.testing.redis_servers import redis_cluster

    with redis_cluster(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster
