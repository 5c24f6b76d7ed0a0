"""The file-system store conforms, alone and under a memory tier."""

import door43fast as d43
from door43fast.contracts import Capabilities
from door43fast.plugins.filesystem import FilesystemStore
from door43fast.testing.conformance import StoreConformance


class TestFilesystem(StoreConformance):
    capabilities = Capabilities(persistent=True, backup=True, shared=True, traces=True, streams=True)

    def make_store(self, **options):
        return FilesystemStore(path=self.folder / self.fresh_name(), durability="none", **options)

    def open_backup(self, path):
        return FilesystemStore(path=path)


class TestMemoryOverFilesystem(TestFilesystem):
    def make_store(self, **options):
        return d43.open(f"file:///{self.folder}/{self.fresh_name()}", durability="none", memory="1MB", **options)
