"""Redis servers for the conformance suite: one, and a cluster, for the whole run."""

import pytest

from door43fast.testing.redis_servers import redis_cluster, redis_server


@pytest.fixture(scope="session")
def redis(tmp_path_factory):
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    with redis_cluster(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster
