"""Redis beside the reference, under random steps."""

import itertools
import os

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

import door43fast as d43
from door43fast.testing import machine

SCALE = float(os.environ.get("DOOR43FAST_MACHINE_SCALE", "1"))
names = itertools.count()


class Redis(machine.StoreMachine):
    pinned = False
    tier = {}

    def make_store(self, **options):
        return d43.open(self.server.url, namespace=f"machine{next(names)}", **self.tier, **options)

    def finish(self):
        self.store.clear()
        self.store.close()


class MemoryOverRedis(Redis):
    tier = {"memory": "64KB"}


@pytest.mark.parametrize("kind", [Redis, MemoryOverRedis])
def test_redis(kind, redis):
    kind.server = redis
    run_state_machine_as_test(kind, settings=settings(
        max_examples=max(int(5 * SCALE), 1), stateful_step_count=50, deadline=None, database=None,
        derandomize=SCALE == 1, suppress_health_check=list(HealthCheck)))
