from door43fast.native.writes import Writes

class Readers(Writes):
    """Readers that take no lock, where there is no GIL; its methods are called from native code alone."""
