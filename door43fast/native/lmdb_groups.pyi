from door43fast.native.lmdb_room import RoomEngine

class GroupEngine(RoomEngine):
    """Changes of one transaction of a store on disk; its methods are called from native code alone."""
