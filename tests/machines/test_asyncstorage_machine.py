"""AsyncStorage beside a dict and beside the app, which reads the files after each step and writes some itself."""

import json
import os
import shutil
import sqlite3
import tempfile
from pathlib import Path

import pytest
from asyncstorage_files import ANDROID, APPLE, SHARED, WINDOWS
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from door43fast.errors import ConflictError
from door43fast.plugins.asyncstorage import AsyncStorageStore

SCALE = float(os.environ.get("DOOR43FAST_MACHINE_SCALE", "1"))
keys = st.sampled_from(["a", "b", "ab", "a/1", "a/2", "é", "\U0001f4d6", "a\x00b", "@user", "k" * 300])
texts = st.sampled_from(["", "text", '{"a":{"b":1},"c":2}', '{"a":{"d":[1]},"c":{}}', "[1]", "5", "x" * 1024,
                         "x" * 1025, "\U0001f4d6" * 512, "\U0001f4d6" * 513, "y" * 9000, "z" * 9000, "ends so\t\n\t\n"])
prefixes = st.sampled_from(["", "a", "a/", "k", "nothing"])
pairs = st.lists(st.tuples(keys, texts), max_size=5)


class Machine(RuleBasedStateMachine):
    form = None

    @initialize()
    def begin(self):
        self.folder = tempfile.mkdtemp()
        self.path = Path(self.folder) / "store"
        self.model = {}
        self.open()

    def open(self):
        self.store = AsyncStorageStore(path=self.path, form=self.form.name, codec="text", durability="none")

    @rule(key=keys, text=texts)
    def set(self, key, text):
        self.store[key] = text
        self.model[key] = text

    @rule(key=keys)
    def delete(self, key):
        assert self.store.delete(key) is (self.model.pop(key, None) is not None)

    @rule(items=pairs)
    def set_many(self, items):
        self.store.set_many(items)
        self.model.update(items)

    @rule(some=st.lists(keys, max_size=5))
    def many(self, some):
        assert self.store.get_many(some) == [self.model.get(key) for key in some]
        assert self.store.delete_many(some) == len({key for key in some if key in self.model})
        for key in some:
            self.model.pop(key, None)

    @rule(key=keys, text=texts)
    def merge(self, key, text):
        def deep(old, new):
            return old | {name: deep(old[name], value) if isinstance(value, dict) and isinstance(old.get(name), dict)
                          else value for name, value in new.items()}
        old = self.model.get(key)
        self.store.merge(key, text)
        if old is not None and old[:1] == text[:1] == "{":
            assert json.loads(self.store[key]) == deep(json.loads(old), json.loads(text))
            self.model[key] = self.store[key]
        else:
            self.model[key] = text

    @rule(key=keys, expected=texts, text=texts)
    def conditional(self, key, expected, text):
        was = self.model.get(key)
        assert self.store.replace(key, expected, text) is (was == expected)
        if was == expected:
            self.model[key] = text
        assert self.store.add(key, text) is (key not in self.model)
        self.model.setdefault(key, text)

    @rule(prefix=prefixes)
    def clear(self, prefix):
        self.store.clear(prefix)
        self.model = {key: text for key, text in self.model.items() if not key.startswith(prefix)}

    @rule(prefix=prefixes, reverse=st.booleans(), limit=st.none() | st.integers(0, 3))
    def scan(self, prefix, reverse, limit):
        wanted = sorted((key, text) for key, text in self.model.items() if key.startswith(prefix))
        assert list(self.store.scan(prefix, reverse=reverse, limit=limit)) == (
            wanted[::-1] if reverse else wanted)[:limit]
        assert self.store.count(prefix) == len(wanted)

    @rule(items=pairs, between=st.booleans(), key=keys)
    def transaction(self, items, between, key):
        if not self.store.capabilities.transactions:
            return
        was = self.model.get(key)
        try:
            with self.store.transaction() as t:
                assert t.get(key) == was
                for one, text in items:
                    t[one] = text
                if between:
                    self.app_writes(key, "by another")
        except ConflictError:
            assert between and was != "by another"
        else:
            assert not between or was == "by another"
            self.model.update(items)

    @rule(key=keys, text=texts)
    def app(self, key, text):
        self.app_writes(key, text)

    def app_writes(self, key, text):
        raise NotImplementedError

    @rule()
    def reopen(self):
        self.store.close()
        self.open()

    @invariant()
    def agrees(self):
        if hasattr(self, "store"):
            assert dict(self.store.items()) == self.model and len(self.store) == len(self.model)
            assert self.app_reads() == self.model

    def app_reads(self):
        return self.form.read(self.path)

    def teardown(self):
        if hasattr(self, "store"):
            assert self.store.verify()["errors"] == []
            self.store.close()
            shutil.rmtree(self.folder)


class Sql(Machine):
    def app_writes(self, key, text):
        app = sqlite3.connect(self.path)
        app.execute(f"INSERT OR REPLACE INTO {self.form.table} VALUES (?, ?)", (key, text))
        app.commit()
        app.close()
        self.model[key] = text


class Android(Sql):
    form = ANDROID


class Shared(Sql):
    form = SHARED


class Windows(Sql):
    form = WINDOWS


class Apple(Machine):
    form = APPLE

    def app_writes(self, key, text):
        """The app runs alone."""
        self.store.close()
        shutil.rmtree(self.path)
        self.model[key] = text
        APPLE.write(self.path, self.model)
        self.open()

    def app_reads(self):
        found, left = APPLE.read(self.path)
        assert left == set()
        return found


@pytest.mark.parametrize("kind", [Android, Shared, Windows, Apple], ids=lambda kind: kind.__name__)
def test_machine(kind):
    run_state_machine_as_test(kind, settings=settings(
        max_examples=max(int(25 * SCALE), 1), stateful_step_count=40, deadline=None, database=None,
        derandomize=SCALE == 1, suppress_health_check=list(HealthCheck)))
