"""A backend of somebody else's without transactions: a file for each name, written one by one, failing on demand."""

import os

from door43fast.config import Location
from door43fast.plugins import Backend, BackendOptions


class FilesOptions(BackendOptions, kw_only=True):
    path: Location


class Died(BaseException):
    """In place of a kill: nobody has a chance to put anything in order."""


class Untransacted(Backend):
    Options = FilesOptions
    capabilities = Backend.capabilities._replace(transactions=False)

    def __init__(self, options=None, /, **wanted):
        super().__init__(options, **wanted)
        self.left, self.fault = None, None      # how many names may be written yet, and what gives the error then
        os.makedirs(self.options.path, exist_ok=True)

    def _file(self, name):
        return os.path.join(self.options.path, name.encode().hex())

    def read(self, names):
        found = []
        for name in names:
            try:
                with open(self._file(name), "rb") as file:
                    found.append(file.read())
            except FileNotFoundError:
                found.append(None)
        return found

    def write(self, changes):
        for name, data in changes.items():
            if self.left is not None:
                if self.left == 0:
                    raise self.fault(self)
                self.left -= 1
            if data is not None:
                with open(f"{self.options.path}.new", "wb") as file:
                    file.write(data)
                os.replace(f"{self.options.path}.new", self._file(name))    # a reader meets it whole
            elif os.path.exists(self._file(name)):
                os.unlink(self._file(name))

    def names(self, prefix):
        return [name for one in os.listdir(self.options.path)
                if (name := bytes.fromhex(one).decode()).startswith(prefix)]
