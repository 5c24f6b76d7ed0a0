"""Every engine beside the reference, under random steps; the steps are counted, since what is asked is a number."""

import os
import shutil
import tempfile

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

import door43fast as d43
from door43fast import reference
from door43fast.plugins.filesystem import FilesystemStore
from door43fast.plugins.sqlite import SqliteStore
from door43fast.testing import machine

SCALE = float(os.environ.get("DOOR43FAST_MACHINE_SCALE", "1"))
WANTED = 100_000    # steps, over all machines


class Memory(machine.StoreMachine):
    def make_store(self, **options):
        return d43.MemoryStore(**options)


class Reference(machine.StoreMachine):
    """The reference against a second one in other layers: it proves the cascade of the reference."""

    def make_store(self, **options):
        return reference.Cascade(reference.MemoryStore(max_entries=3, clock=options["clock"]),
                                 reference.MemoryStore(**options))


class OnDisk(machine.StoreMachine):
    """Stores of one example after another share a directory: opening one costs more than an example does."""

    pinned = False

    def make_store(self, **options):
        self.folder = tempfile.mkdtemp()
        return self.open(self.folder, **options)

    def finish(self):
        self.store.close()
        shutil.rmtree(self.folder)


class Lmdb(OnDisk):
    def open(self, path, **options):
        return d43.LmdbStore(path, durability="none", **options)


class LmdbWithJournal(Lmdb):
    def open(self, path, **options):
        return super().open(path, journal=True, **options)


class MemoryOverLmdb(OnDisk):
    def open(self, path, **options):
        return d43.open(path, durability="none", memory="64KB", journal=True, **options)


class Sqlite(OnDisk):
    def open(self, path, **options):
        return SqliteStore(path=f"{path}/s.db", durability="none", **options)


class Filesystem(OnDisk):
    def open(self, path, **options):
        return FilesystemStore(path=path, durability="none", **options)


class MemoryOverSqlite(OnDisk):
    def open(self, path, **options):
        return d43.open(f"sqlite:///{path}/s.db", durability="none", memory="64KB", **options)


class MemoryOverMemory(machine.StoreMachine):
    def make_store(self, **options):
        return d43.cascade(d43.MemoryStore(max_entries=4, clock=options["clock"]), d43.MemoryStore(**options))


class MemoryOverMemoryOverLmdb(OnDisk):
    def open(self, path, **options):
        clock = options["clock"]
        return d43.cascade(d43.MemoryStore(max_entries=3, clock=clock), d43.cascade(
            d43.MemoryStore(max_entries=5, clock=clock, ttl=1.025),
            d43.LmdbStore(path, durability="none", journal=True, **options), negative=0.525), promote="second")


def with_modes(module, slow, **modes):
    """A machine over a cascade whose fast layer keeps what it has for a moment."""
    class Modes(machine.StoreMachine):
        def make_store(self, **options):
            fast = module.MemoryStore(max_entries=4, clock=options["clock"], ttl=0.325)
            return module.Cascade(fast, slow(**options), **modes)

    return Modes


MODES = [{"negative": 0.775, "stale": 5}, {"negative": 60, "promote": "second", "stale_on_error": 100},
         {"stale": 50, "stale_on_error": 5, "promote": "never"}, {"negative": 1000, "stale": 1000}]
NATIVE_MODES = [*MODES, {"write": "around", "negative": 3, "stale": 3}]


class Evicting(machine.EvictingMachine):
    def make_store(self, **options):
        return d43.MemoryStore(**options)


def profile(examples):
    return settings(max_examples=max(int(examples * SCALE), 1), stateful_step_count=50, deadline=None, database=None,
                    derandomize=SCALE == 1, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize(("kind", "examples"), [
    (Memory, 550), (Evicting, 550), (Reference, 60), (Lmdb, 120),
    (LmdbWithJournal, 100), (MemoryOverLmdb, 150), (MemoryOverMemory, 250), (MemoryOverMemoryOverLmdb, 100),
    (Sqlite, 60), (MemoryOverSqlite, 60), (Filesystem, 40)],
    ids=lambda one: one.__name__ if isinstance(one, type) else str(one))
def test_machine(kind, examples):
    run_state_machine_as_test(kind, settings=profile(examples))


@pytest.mark.parametrize("modes", NATIVE_MODES, ids=lambda modes: "-".join(modes))
def test_cascade_with_modes(modes):
    run_state_machine_as_test(with_modes(d43, d43.MemoryStore, **modes), settings=profile(60))


@pytest.mark.parametrize("modes", MODES, ids=lambda modes: "-".join(modes))
def test_reference_cascade_with_modes(modes):
    run_state_machine_as_test(with_modes(reference, reference.MemoryStore, **modes), settings=profile(40))


def test_the_steps_were_enough(capsys):
    """REQUIRES: the machines ran before this, in the order of the file."""
    if machine.Count.steps == 0:
        pytest.skip("the machines did not run")
    with capsys.disabled():
        print(f"\n{machine.Count.steps:,} steps of state machines")
    assert machine.Count.steps >= WANTED * min(SCALE, 1)
