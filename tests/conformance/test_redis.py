"""The Redis store conforms, alone and under a memory tier."""

import pytest

import door43fast as d43
from door43fast.testing.conformance import StoreConformance


class TestRedis(StoreConformance):
    @pytest.fixture(autouse=True)
    def _server(self, redis):
        self.server = redis

    def make_store(self, **options):
        return d43.open(self.server.url, namespace=self.fresh_name(), **options)


class TestMemoryOverRedis(TestRedis):
    def make_store(self, **options):
        return super().make_store(memory="1MB", **options)


class TestRedisCluster(StoreConformance):
    @pytest.fixture(autouse=True)
    def _server(self, cluster):
        self.server = cluster

    def make_store(self, **options):
        return d43.open(self.server.url, namespace=self.fresh_name(), **options)


class TestMemoryOverRedisCluster(TestRedisCluster):
    def make_store(self, **options):
        return super().make_store(memory="1MB", **options)
