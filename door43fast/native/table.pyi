from door43fast.native.core import Core

class Table(Core):
    """The table under a memory store; its methods are called from native code alone."""

    def __new__(cls, *args: object, **options: object) -> Table: ...
