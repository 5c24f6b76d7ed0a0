"""What the killed writer does, step by step from a seed: so that the test knows each step, the one cut off as well."""

import random


def steps(seed):
    """Endless dicts of key and value, None for a delete; each is one write, one batch or one transaction."""
    rng = random.Random(seed)
    while True:
        kind = rng.random()
        if kind < 0.2:
            yield {f"k{rng.randrange(300)}": rng.randbytes(rng.choice([0, 10, 3000])) for _ in range(10)}
        elif kind < 0.35:
            yield {f"k{rng.randrange(300)}": None}
        else:
            yield {f"k{rng.randrange(300)}": rng.randbytes(rng.choice([0, 10, 100, 2000, 9000, 60_000]))}
