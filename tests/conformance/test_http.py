"""The HTTP store conforms: it reads what a server has, refuses the rest; alone and under a memory tier."""

import pytest

import door43fast as d43
from door43fast.contracts import Capabilities
from door43fast.plugins.http import HttpStore
from door43fast.testing.conformance import StoreConformance
from http_server import Server

READS = Capabilities(writes=False, ordered=False, ttl=False, tags=False, pins=False, transactions=False, events=False,
                     packed=True, compute=False, persistent=True, shared=True, traces=True, streams=True, listing=False)


class TestHttp(StoreConformance):
    capabilities = READS

    @pytest.fixture(autouse=True)
    def _server(self):
        self.server = Server()
        yield
        self.server.close()

    def make_filled(self, items):
        self.server.values.update(items)
        return HttpStore(url=self.server.url)


class TestMemoryOverHttp(TestHttp):
    def make_filled(self, items):
        self.server.values.update(items)
        return d43.open(self.server.url, memory="1MB")
