from door43fast.native.lmdb_records import RecordEngine

class ChangeEngine(RecordEngine):
    """One change of one record; its methods are called from native code alone."""
