"""Conformance: single-flight computation and memoized functions."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from door43fast.errors import DeadlockError
from door43fast.testing.basis import Basis, needs

LIMIT = 20  # seconds that a thread is waited for, if it is right only a fraction of one


@needs("writes", "compute")
class ComputeTests(Basis):
    @pytest.fixture
    def c(self, store: Any) -> Any:
        yield store
        assert not store._flights

    def test_computes_once_and_stores(self, c: Any) -> None:
        calls: list[int] = []
        for _ in range(3):
            assert c.get_or_compute("k", lambda: calls.append(1)) is None
        assert calls == [1] and c["k"] is None and "k" in c
        c["there"] = 5
        assert c.get_or_compute("there", lambda: 1 / 0) == 5
        c.delete("k")
        assert c.get_or_compute("k", lambda: "new") == "new" == c["k"]

    def test_one_call_for_many_threads(self, c: Any) -> None:
        calls: list[int] = []
        everyone = threading.Barrier(9)

        def fn() -> str:
            calls.append(1)
            everyone.wait(LIMIT)    # all the others have been started
            return "value"

        def ask() -> Any:
            if not calls:
                return c.get_or_compute("k", fn)
            everyone.wait(LIMIT)
            return c.get_or_compute("k", fn)
        with ThreadPoolExecutor(9) as pool:
            first = pool.submit(ask)
            while not calls:
                pass
            others = [pool.submit(ask) for _ in range(8)]
            assert [future.result(LIMIT) for future in [first, *others]] == ["value"] * 9
        assert calls == [1]

    def test_waiters_share_the_exception_and_nothing_is_left(self, c: Any) -> None:
        started, go = threading.Event(), threading.Event()

        def fn() -> None:
            started.set()
            go.wait(LIMIT)
            raise LookupError("no such thing")
        with ThreadPoolExecutor(4) as pool:
            first = pool.submit(c.get_or_compute, "k", fn)
            assert started.wait(LIMIT)
            waiter = pool.submit(c.get_or_compute, "k", fn)
            while not (next(iter(c._flights.values())).done._condition._waiters or waiter.done()):
                pass
            go.set()
            for future in (first, waiter):
                assert isinstance(future.exception(LIMIT), LookupError)
        assert "k" not in c and c.get_or_compute("k", lambda: 1) == 1

    @pytest.mark.parametrize("write", ["set", "delete", "set_many", "clear", "incr", "add"])
    def test_a_write_meanwhile_keeps_the_result_from_being_stored(self, c: Any, write: str) -> None:
        def fn() -> int:
            if write == "set":
                c["k"] = 1
            elif write == "delete":
                c.delete("k")
            elif write == "set_many":
                c.set_many({"k": 1})
            elif write == "clear":
                c.clear()
            elif write == "incr":
                c.incr("k")
            else:
                c.add("k", 1)
            return 99
        assert c.get_or_compute("k", fn) == 99
        assert c.get("k") == (None if write in ("delete", "clear") else 1)

    @needs("transactions")
    def test_a_transaction_meanwhile_keeps_it_from_being_stored_too(self, c: Any) -> None:
        def fn() -> int:
            with c.transaction() as t:
                t["k"] = 1
            return 99
        assert c.get_or_compute("k", fn) == 99 and c["k"] == 1

    def test_recursion_on_the_same_key_is_refused(self, c: Any) -> None:
        with pytest.raises(DeadlockError, match="'k'"):
            c.get_or_compute("k", lambda: c.get_or_compute("k", lambda: 1))
        with pytest.raises(DeadlockError, match="'a'.*'b'|'b'.*'a'"):
            c.get_or_compute("a", lambda: c.get_or_compute("b", lambda: c.get_or_compute("a", lambda: 1)))
        assert c.get_or_compute("k", lambda: c.get_or_compute("other", lambda: 2)) == 2

    def test_a_cycle_over_threads_is_refused(self, c: Any) -> None:
        both = threading.Barrier(2)

        def compute(mine: str, other: str) -> Any:
            def fn() -> Any:
                both.wait(LIMIT)
                return c.get_or_compute(other, lambda: other)
            return c.get_or_compute(mine, fn)
        with ThreadPoolExecutor(2) as pool:
            futures = [pool.submit(compute, "a", "b"), pool.submit(compute, "b", "a")]
            errors = [future.exception(LIMIT) for future in futures]
        assert any(isinstance(error, DeadlockError) for error in errors)

    def test_fn_may_use_the_store_from_another_thread(self, c: Any) -> None:
        def fn() -> Any:
            with ThreadPoolExecutor(1) as pool:
                return pool.submit(lambda: (c.set("x", 1), c.get("x"), c.get_or_compute("y", lambda: 2))).result(LIMIT)
        assert list(c.get_or_compute("k", fn)) == [None, 1, 2]
        assert c["x"] == 1 and c["y"] == 2

    @needs("ttl")
    def test_ttl_and_the_stale_window(self, timed_store: Any, clock: Any) -> None:
        c = timed_store
        options = {"ttl": 1.025, "stale": 2.0}
        assert c.get_or_compute("k", lambda: "old", **options) == "old"
        clock.advance(1.05)
        assert c.get("k") is None and "k" not in c
        inner: list[Any] = []

        def fn() -> str:
            with ThreadPoolExecutor(1) as pool:     # another caller, while the first one recomputes
                inner.append(pool.submit(c.get_or_compute, "k", lambda: "never", **options).result(LIMIT))
            return "new"
        assert c.get_or_compute("k", fn, **options) == "new" and inner == ["old"] and c["k"] == "new"
        clock.advance(5)
        assert c.get_or_compute("k", lambda: "third", **options) == "third"
        assert c.ttl("k") == pytest.approx(1.025, abs=0.02)

    def test_wrong_spans_are_refused_before_anything_runs(self, c: Any) -> None:
        for options in ({"ttl": -1}, {"stale": -1}, {"ttl": float("nan")}):
            with pytest.raises(ValueError):
                c.get_or_compute("k", lambda: 1, **options)
        with pytest.raises(TypeError):
            c.get_or_compute("k", 7)
        assert "k" not in c

    def test_memoize(self, c: Any) -> None:
        calls: list[Any] = []

        @c.memoize()
        def double(x: Any, y: Any = 0) -> Any:
            """Doubles."""
            calls.append(x)
            return [x, y]
        assert double(1) == [1, 0] and double(1) == [1, 0] and calls == [1]
        assert double.__name__ == "double" and double.__doc__ == "Doubles." and double.__wrapped__(2) == [2, 0]
        for x in (1.0, True, "1", b"1", None, (1,), (1.0,), (True,), "é\x00"):
            got = double(x)
            assert got[0] == x and type(got[0]) is type(x) or isinstance(x, tuple)
        assert len({double.cache_key(x) for x in (1, 1.0, True, "1", b"1", None, (1,), (1.0,), ((1,),), (True,))}) == 10
        assert double.cache_key(1, y=2) == double.cache_key(1, y=2) != double.cache_key(1, y=3)
        assert double.cache_key(1) in c and double.invalidate(1) is True and double.invalidate(1) is False
        assert double.cache_key(1) not in c and double("q" * 5000)[0] == "q" * 5000

    @needs("ttl")
    def test_memoized_ttl(self, timed_store: Any, clock: Any) -> None:
        calls: list[Any] = []
        fn = timed_store.memoize(ttl=1.025)(lambda x: calls.append(x))
        fn(1), fn(1)
        clock.advance(1.05)
        fn(1)
        assert calls == [1, 1]
        with pytest.raises(ValueError):
            timed_store.memoize(ttl=-1)

    def test_memoized_methods(self, c: Any) -> None:
        class Book:
            def __init__(self, name: str) -> None:
                self.name = name
                self.calls = 0

            def __cache_key__(self) -> str:
                return self.name

            @c.memoize()
            def chapter(self, n: int) -> str:
                self.calls += 1
                return f"{self.name} {n}"
        titus, jude = Book("TIT"), Book("JUD")
        assert [titus.chapter(1), jude.chapter(1), titus.chapter(1)] == ["TIT 1", "JUD 1", "TIT 1"]
        assert titus.calls == jude.calls == 1
        assert Book.chapter.invalidate(titus, 1) is True and titus.chapter(1) == "TIT 1" and titus.calls == 2
