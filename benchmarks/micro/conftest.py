"""Run with ``pytest benchmarks/micro -o addopts=``: the tests of the project keep the benchmark plugin off."""

import pytest


def pytest_configure(config: pytest.Config) -> None:
    if not config.pluginmanager.hasplugin("benchmark"):
        raise pytest.UsageError("the benchmarks need the plugin pytest-benchmark: pytest benchmarks/micro -o addopts=")
