class Encoded:
    """A value that a tier keeps encoded, so that each reader gets an object of its own."""

    def __new__(cls, mark: int, payload: bytes) -> Encoded: ...
