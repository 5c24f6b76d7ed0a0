"""A backend that forgets what it was told; and the command line with it registered: ``python lying_backend.py ...``."""

from door43fast.plugins import Backend, BackendOptions, registry


class Lying(Backend):
    """A store over a dict, which keeps no value of more than 100 bytes."""

    Options = BackendOptions

    def __init__(self, options=None, /, **wanted):
        super().__init__(options, **wanted)
        self.kept = {}

    def read(self, names):
        return [self.kept.get(name) for name in names]

    def write(self, changes):
        for name, data in changes.items():
            self.kept.pop(name, None) if data is None or len(data) > 100 else self.kept.__setitem__(name, data)

    def names(self, prefix):
        return [name for name in list(self.kept) if name.startswith(prefix)]


registry.register("lying", Lying)

if __name__ == "__main__":
    from door43fast.cli import main

    main()
