"""The files of React Native's AsyncStorage conform, in each form that can be made, and one under a memory tier."""

import door43fast as d43
from asyncstorage_files import NEXT
from door43fast.contracts import Capabilities
from door43fast.plugins.asyncstorage import AsyncStorageStore
from door43fast.testing.conformance import StoreConformance

FILES = Capabilities(ttl=False, tags=False, persistent=True, backup=True, shared=True, traces=True, streams=True)
ANY_SIZE = {"max_value": 0, "max_bytes": 0, "durability": "none"}


class TestAndroid(StoreConformance):
    capabilities = FILES
    form = "android"

    def make_store(self, **options):
        return AsyncStorageStore(path=self.folder / self.fresh_name(), form=self.form, **ANY_SIZE, **options)

    def open_backup(self, path):
        return AsyncStorageStore(path=path)


class TestShared(TestAndroid):
    form = "shared"


class TestNext(TestAndroid):
    """Of Room: the app makes it, and it is filled here."""

    def make_store(self, **options):
        path = self.folder / self.fresh_name()
        NEXT.write(path, {}).close()
        return AsyncStorageStore(path=path, **ANY_SIZE, **options)


class TestWindows(TestAndroid):
    form = "windows"


class TestApple(StoreConformance):
    capabilities = FILES._replace(transactions=False)

    def make_store(self, **options):
        return AsyncStorageStore(path=self.folder / self.fresh_name(), form="apple", durability="none", **options)

    def open_backup(self, path):
        return AsyncStorageStore(path=path)


class TestMemoryOverAndroid(TestAndroid):
    def make_store(self, **options):
        return d43.open(f"asyncstorage:///{self.folder}/{self.fresh_name()}", form=self.form, memory="1MB", **ANY_SIZE,
                        **options)
