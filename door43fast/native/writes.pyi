from door43fast.native.table import Table

class Writes(Table):
    """The writing half of the memory engine; its methods are called from native code alone."""
