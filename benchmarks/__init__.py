"""Benchmarks of door43fast: ``micro`` of its own parts, ``compare`` beside its peers, ``report`` as one table."""
