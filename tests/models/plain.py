"""The cascade's protocol in plain Python, from which one rule at a time can be taken: what a replay must refuse."""


class Plain:
    """Memory over a slower store with the tickets of native/tickets.pxd; all keys are of one stripe."""

    def __init__(self, fast, slow, without=()):
        self.fast, self.slow, self.without = fast, slow, without
        self.stripe = self.epoch = 0

    def _good(self, ticket):
        return "ticket" in self.without or ticket == (self.stripe, self.epoch)

    def get(self, key, default=None):
        value = self.fast.get(key)
        if value is None:
            ticket = self.stripe, self.epoch
            value = self.slow.get(key)
            if value is not None and self._good(ticket):
                self.fast.set(key, value)
        return default if value is None else value

    def _write(self, keys, name, *args):
        if "begin" not in self.without:
            self.stripe += 1
        try:
            return getattr(self.slow, name)(*args)
        finally:
            if "end" not in self.without:
                self.stripe += 1
            if "discard" not in self.without:
                self.fast.delete_many(keys)

    def set(self, key, value):
        self._write([key], "set", key, value)

    def delete(self, key):
        return self._write([key], "delete", key)

    def set_many(self, items):
        self._write([key for key, _ in items], "set_many", items)

    def delete_many(self, keys):
        return self._write(keys, "delete_many", keys)

    def clear(self):
        self.epoch += 1
        self.slow.clear()
        if "epoch" not in self.without:
            self.epoch += 1
        self.fast.clear()
