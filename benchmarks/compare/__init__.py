"""door43fast beside its peers. A case is a function of ``quick`` that gives a Result; ``CASES`` names them."""
