from door43fast.native.lmdb_reads import ReadEngine

class GroupEngine(ReadEngine):
    """Changes of one transaction of a store on disk; its methods are called from native code alone."""
