"""The policies beside those of libcachesim on the same traces: an independent judge."""

import libcachesim
import pytest

from door43fast import traces

from test_policies import DATA, REAL, native_hits

JUDGES = {"lru": libcachesim.LRU, "sieve": libcachesim.Sieve, "s3fifo": libcachesim.S3FIFO}


def judged(policy, trace, entries):
    cache = JUDGES[policy](cache_size=entries)
    request = libcachesim.Request()
    request.obj_size = 1
    hits = 0
    for number in trace:
        request.obj_id = number & 0x7FFFFFFFFFFFFFFF
        hits += cache.get(request)
    return hits


@pytest.mark.parametrize("policy", JUDGES)
@pytest.mark.parametrize("name", REAL)
def test_hit_ratios_are_within_a_third_of_a_point(policy, name):
    trace = traces.read(DATA / "traces" / name)[:60_000]
    for entries in REAL[name]:
        ours, theirs = native_hits(policy, trace, entries), judged(policy, trace, entries)
        assert abs(ours - theirs) / len(trace) < 0.003, (ours, theirs)
