class Rules:
    """Which dictionary new values get, by the longest prefix that their key begins with."""

class Unpacked:
    """Payloads that were decompressed for one stretch of a batch."""

class Compression:
    """What a store on disk knows of zstd."""

    @property
    def writes(self) -> bool: ...
