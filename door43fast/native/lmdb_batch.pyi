class Batch:
    """The keys of one batch call, sorted and held in C memory."""
