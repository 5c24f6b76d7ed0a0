"""Each test runs over every kind of store that has a place for namespaces."""

import pytest

from namespace_kinds import KINDS, opened


@pytest.fixture(params=KINDS)
def base(request, tmp_path):
    with opened(request.param, tmp_path) as store:
        yield store


@pytest.fixture(params=("lmdb", "sqlite", "cascade", "files"))
def lasting(request, tmp_path):
    """Opens the same store on disk again and again."""
    return lambda: opened(request.param, tmp_path)
