from door43fast.native.lmdb_records import RecordEngine

class ReadEngine(RecordEngine):
    """Reads of a store on disk; its methods are called from native code alone."""
