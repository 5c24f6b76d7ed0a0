"""A fork with a store that cannot be prepared for it: the others are."""

import os

import pytest

from door43fast.plugins.sqlite import SqliteStore


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")     # how a fork tells of it
def test_a_store_that_fails_at_a_fork_leaves_the_others_whole(tmp_path, monkeypatch):
    with SqliteStore(path=tmp_path / "a") as bad, SqliteStore(path=tmp_path / "b") as good:
        good["k"] = 1

        def fail():
            raise RuntimeError("this one cannot")
        for name in ("_forking", "_forked_here", "_forked"):
            monkeypatch.setattr(bad, name, fail)
        child = os.fork()
        if child == 0:
            os._exit(0 if good["k"] == 1 and good.incr("k") == 2 else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert good["k"] == 2
        monkeypatch.undo()
