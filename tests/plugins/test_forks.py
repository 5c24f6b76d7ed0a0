"""Forks of a process with many stores: one that is in trouble leaves the others whole."""

import os
import shutil

import pytest

from door43fast.plugins.asyncstorage import AsyncStorageStore
from door43fast.plugins.filesystem import FilesystemStore
from door43fast.plugins.sqlite import SqliteStore


def used_in_a_child(store):
    """Whether a child can read and write it; a child that waits for ever is ended by the limit of the test."""
    store["k"] = 1
    child = os.fork()
    if child == 0:
        os._exit(0 if store["k"] == 1 and store.incr("k") == 2 else 1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0 and store["k"] == 2


@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
def test_a_store_whose_folder_is_gone_is_no_trouble(tmp_path):
    lost = [FilesystemStore(path=tmp_path / "f"), AsyncStorageStore(path=tmp_path / "a", form="apple")]
    shutil.rmtree(tmp_path / "f")
    shutil.rmtree(tmp_path / "a")
    with SqliteStore(path=tmp_path / "s") as store:
        assert used_in_a_child(store)
    for one in lost:
        one.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")     # how a fork tells of it
def test_a_store_that_fails_at_a_fork_leaves_the_others_whole(tmp_path, monkeypatch):
    def fail():
        raise RuntimeError("this one cannot")

    with SqliteStore(path=tmp_path / "bad") as bad, SqliteStore(path=tmp_path / "good") as good:
        for name in ("_forking", "_forked_here", "_forked"):
            monkeypatch.setattr(bad, name, fail)
        assert used_in_a_child(good)
        monkeypatch.undo()
