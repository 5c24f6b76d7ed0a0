"""A backend of somebody else's: the standard library's ``dbm.dumb``, by the public contract alone."""

import dbm.dumb
from typing import Annotated

from msgspec import Meta

from door43fast.config import Location
from door43fast.plugins import Backend, BackendOptions


class DbmOptions(BackendOptions, kw_only=True):
    path: Annotated[Location, Meta(description="The files, without their endings.")]


class DbmStore(Backend):
    """Bytes under names in ``path.dat``. Not atomic, so it has no transactions."""

    Options = DbmOptions
    capabilities = Backend.capabilities._replace(transactions=False)

    def __init__(self, options=None, /, **wanted):
        super().__init__(options, **wanted)
        self._file = dbm.dumb.open(self.options.path, "c")

    def read(self, names):
        return [self._file.get(name.encode()) for name in names]

    def write(self, changes):
        for name, data in changes.items():
            if data is not None:
                self._file[name.encode()] = data
            elif name.encode() in self._file:
                del self._file[name.encode()]

    def names(self, prefix):
        return [name for name in map(bytes.decode, self._file.keys()) if name.startswith(prefix)]

    def shut(self):
        self._file.close()
