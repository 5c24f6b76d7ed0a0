from door43fast.native.lmdb_reads import ReadEngine

class ChangeEngine(ReadEngine):
    """One change of one record; its methods are called from native code alone."""
