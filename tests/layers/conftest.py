"""What tests of write-back share: buffers over layers that fail."""

import pytest
from failing_layer import FailingLayer

import door43fast as d43
from door43fast.layers import WriteBuffer


@pytest.fixture
def make_buffer(tmp_path):
    """A buffer over a layer that can fail, over LMDB; it flushes only when it is asked to."""
    made = []

    def make(store=None, **options):
        below = FailingLayer(d43.LmdbStore(tmp_path / f"s{len(made)}", durability="none") if store is None else store)
        made.append(WriteBuffer(below, **{"delay": 1000, "patience": 0.3, **options}))
        return made[-1], below

    yield make
    for buffer in made:
        buffer.slow.down = buffer.slow.gate = None
        buffer.close()
