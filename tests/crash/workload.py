"""What the killed writer does, step by step from a seed: so that the test knows each step, the one cut off as well."""

import random


def key(number):
    """Every sixth is a long one; those begin alike, so that their order is not that of their rows."""
    return f"k{number}" if number % 6 else "k" * 494 + f"{number:020}"


def steps(seed):
    """Endless dicts of key and value, None for a delete; each is one write, one batch or one transaction.

    A dict of several keys is a batch if it sets them all, and else a transaction.
    """
    rng = random.Random(seed)
    while True:
        kind = rng.random()
        if kind < 0.15:
            yield {key(rng.randrange(300)): rng.randbytes(rng.choice([0, 10, 3000])) for _ in range(10)}
        elif kind < 0.25:
            yield {key(rng.randrange(300)): rng.choice([None, rng.randbytes(rng.choice([0, 10, 5000]))])
                   for _ in range(6)}
        elif kind < 0.4:
            yield {key(rng.randrange(300)): None}
        else:
            yield {key(rng.randrange(300)): rng.randbytes(rng.choice([0, 10, 100, 2000, 9000, 60_000]))}


def take(store, number, step):
    """Carry out the step of that number."""
    ttl = 3600 if number % 3 == 0 else None
    if len(step) == 1:
        (key, value), = step.items()
        if value is None:
            store.delete(key)
        else:
            store.set(key, value, ttl=ttl, tags=("t",) if number % 5 == 0 else ())
    elif None in step.values():
        with store.transaction() as t:
            for key, value in step.items():
                if value is None:
                    t.delete(key)
                else:
                    t.set(key, value, ttl=ttl)
    else:
        store.set_many(step, ttl=ttl)
