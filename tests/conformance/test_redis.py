"""The Redis store conforms, over one server and over a cluster, alone, under a memory tier, and by its ``aio``."""

import pytest

import door43fast as d43
from door43fast.contracts import Capabilities
from door43fast.testing.conformance import StoreConformance
from door43fast.testing.driven import Driven

from .test_aio import AwaitedConformance


class TestRedis(StoreConformance):
    capabilities = Capabilities(pins=False, persistent=True, shared=True, traces=True, streams=True)

    @pytest.fixture(autouse=True)
    def _server(self, redis):
        self.server = redis

    def make_store(self, **options):
        return d43.open(self.server.url, namespace=self.fresh_name(), **options)


class TestMemoryOverRedis(TestRedis):
    def make_store(self, **options):
        return super().make_store(memory="1MB", **options)


class TestRedisCluster(TestRedis):
    capabilities = TestRedis.capabilities._replace(ordered=False, transactions=False)

    @pytest.fixture(autouse=True)
    def _server(self, redis_cluster):
        self.server = redis_cluster


class TestMemoryOverRedisCluster(TestRedisCluster):
    def make_store(self, **options):
        return super().make_store(memory="1MB", **options)


class TestRedisAwaited(AwaitedConformance):
    capabilities = TestRedis.capabilities

    @pytest.fixture(autouse=True)
    def _server(self, redis):
        self.server = redis

    def make_store(self, **options):
        return Driven(d43.open(self.server.url, namespace=self.fresh_name(), **options))


class TestRedisClusterAwaited(TestRedisAwaited):
    capabilities = TestRedisCluster.capabilities

    @pytest.fixture(autouse=True)
    def _server(self, redis_cluster):
        self.server = redis_cluster
