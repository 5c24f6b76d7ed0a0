"""Rates: a bucket by a clock that is stepped, and a namespace that goes by it."""

import pickle

import pytest

import door43fast as d43
from door43fast.namespaces.rates import Bucket


class Stepped:
    now = 100.0

    def __call__(self):
        return self.now


def test_a_bucket():
    clock = Stepped()
    bucket = Bucket("n", 10, 5, clock)
    for _ in range(5):
        bucket.take(1)
    with pytest.raises(d43.RateError, match="'n' may read and write 10 keys a second") as error:
        bucket.take(1)
    assert error.value.retry_after == pytest.approx(0.1)
    clock.now += error.value.retry_after + 1e-9
    bucket.take(1)
    with pytest.raises(d43.RateError):
        bucket.take(1)
    clock.now += 1000
    for _ in range(5):      # never more than the burst
        bucket.take(1)
    with pytest.raises(d43.RateError):
        bucket.take(1)


def test_a_batch_that_is_larger_than_the_burst_leaves_a_debt():
    clock = Stepped()
    bucket = Bucket("n", 10, 5, clock)
    bucket.take(25)
    with pytest.raises(d43.RateError) as error:
        bucket.take(1)
    assert error.value.retry_after == pytest.approx(2.1)
    clock.now += 2.11
    bucket.take(1)
    with pytest.raises(d43.RateError) as error:
        bucket.take(25)     # waits for a full bucket
    assert 0.49 < error.value.retry_after <= 0.5


def test_over_time_the_rate_is_kept():
    clock, done = Stepped(), 0
    bucket = Bucket("n", 10, 5, clock)
    for step in range(1000):
        clock.now += 0.037
        try:
            bucket.take(1 + step % 9)
            done += 1 + step % 9
        except d43.RateError:
            pass
    assert 300 <= done <= 10 * 37 + 5 + 9


def spent(space, clock):
    """How many tokens a call takes."""
    return lambda call: (setattr(clock, "now", clock.now + 1e6), space._bucket.take(0), call(),
                         round(space._bucket.burst - space._bucket._tokens))[-1]


def test_every_key_takes_one(base):
    space = d43.namespace(base, "n", rate=1e-3, burst=1000)
    clock = Stepped()
    space._bucket = Bucket("n", 1e-3, 1000, clock)
    cost = spent(space, clock)
    assert cost(lambda: space.set("a", 1)) == 1 and cost(lambda: space.get("a")) == 1
    assert cost(lambda: space.set_many({f"k{i}": i for i in range(9)})) == 9
    assert cost(lambda: space.get_many([f"k{i}" for i in range(20)])) == 20 and cost(lambda: "a" in space) == 1
    assert cost(lambda: list(space.scan("k"))) == 9 and cost(lambda: space.count()) == 10
    assert cost(lambda: space.invalidate("t")) == 1 and cost(lambda: space.delete_many(["k1", "k2"])) == 2
    assert cost(lambda: space.clear()) == 1 and cost(lambda: (len(space), space.stats(), space.verify())) == 0


def test_what_is_refused_did_nothing_and_is_counted(base):
    space, other = d43.namespace(base, "n", rate=1e-6, burst=3), d43.namespace(base, "other")
    space.set_many({"a": 1, "b": 2})
    space["a"] = 3
    for call in (lambda: space.set("a", 4), lambda: space.get("a"), lambda: space.clear(), lambda: list(space.scan()),
                 lambda: space.invalidate("t"), lambda: space.get_many(["a"]), lambda: space.incr("n")):
        with pytest.raises(d43.RateError, match="try again in") as error:
            call()
        assert error.value.retry_after > 1000
        assert str(pickle.loads(pickle.dumps(error.value))) == str(error.value)
    other["free"] = 1       # the others do not notice
    assert space.stats()["limited"] == 7 and other.stats()["limited"] == 0
    space.limit(rate=None, burst=None)
    assert dict(space.items()) == {"a": 3, "b": 2}


def test_a_rate_is_kept_in_the_store(lasting):
    with lasting() as base:
        d43.namespace(base, "n", rate=1e-6, burst=2)
    with lasting() as base:
        space = d43.namespace(base, "n")
        space.get_many(["a", "b"])
        with pytest.raises(d43.RateError):
            space.get("a")
        space.limit(rate=1e9)
        space.get_many(["a", "b"])
        assert space.stats()["rate"] == 1e9 and space.stats()["burst"] == 2
