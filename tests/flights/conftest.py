"""Where a test's store is, where its computations are noted, and servers of Redis that belong to one file."""

import pytest

from door43fast.testing.redis_servers import RedisCluster, redis_server


@pytest.fixture
def path(tmp_path):
    return tmp_path / "store"


@pytest.fixture
def loads(tmp_path):
    return tmp_path / "loads"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    cluster = RedisCluster(tmp_path_factory.mktemp("cluster"))
    yield cluster
    cluster.kill()


@pytest.fixture(params=["server", "cluster"])
def url(request):
    return request.getfixturevalue(request.param).url


@pytest.fixture
def name(request):
    """A namespace of the test's own."""
    return request.node.name.replace(":", "")[:50]
