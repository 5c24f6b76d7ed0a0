from door43fast.native.below import Below

class Coherent(Below):
    """Two tiers and what is known of their agreement."""

    def __new__(cls, *args: object, **options: object) -> Coherent: ...
    def _epoch(self) -> int: ...
