from door43fast.native.lmdb_groups import GroupEngine

class ChangeEngine(GroupEngine):
    """One change of one record; its methods are called from native code alone."""
