from door43fast.native.lmdb_values import ValueEngine

class RecordEngine(ValueEngine):
    """One record of a store on disk; its methods are called from native code alone."""
