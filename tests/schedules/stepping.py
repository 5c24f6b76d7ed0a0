"""Threads that run one at a time, in an order drawn from a seed, and change over at marked points."""

import random
import threading

PATIENCE = 0.05     # seconds after which a thread that reaches no point is taken to wait for another one


class Actor(threading.Thread):
    def __init__(self, schedule, act):
        super().__init__(daemon=True)
        self.schedule, self.act = schedule, act
        self.go = threading.Semaphore(0)
        self.stopped = threading.Semaphore(0)
        self.error = None
        self.over = False

    def run(self):
        self.go.acquire()
        try:
            self.act()
        except BaseException as error:
            self.error = error
        self.over = True
        self.stopped.release()

    def point(self):
        self.stopped.release()
        self.go.acquire()


class Schedule:
    """Runs actions to their ends, one step of one of them at a time. The same seed gives the same order."""

    def __init__(self, seed, patience=PATIENCE):
        self.random = random.Random(seed)
        self.patience = patience
        self.actors = []

    def run(self, *acts):
        self.actors = [Actor(self, act) for act in acts]
        for actor in self.actors:
            actor.start()
        waiting, blocked = list(self.actors), []
        while waiting or blocked:
            for actor in [one for one in blocked if one.stopped.acquire(blocking=False)]:
                blocked.remove(actor)
                waiting += [] if actor.over else [actor]
            if not waiting:
                if not blocked:
                    break
                assert blocked[0].stopped.acquire(timeout=20), "the threads wait for each other"
                actor = blocked.pop(0)
                waiting += [] if actor.over else [actor]
                continue
            actor = self.random.choice(waiting)
            actor.go.release()
            if not actor.stopped.acquire(timeout=self.patience):
                waiting.remove(actor)
                blocked.append(actor)
            elif actor.over:
                waiting.remove(actor)
        for actor in self.actors:
            actor.join(20)
        return [actor.error for actor in self.actors]


def point():
    """A marked point: here another thread may go on."""
    actor = threading.current_thread()
    if isinstance(actor, Actor):
        actor.point()


class Stepped:
    """A store whose methods have a point before and after the real call."""

    def __init__(self, store):
        self.store = store

    def __getattr__(self, name):
        attribute = getattr(self.store, name)
        reads = not name.startswith("_") or name == "_with_deadlines"
        return self._stepped(attribute) if callable(attribute) and reads else attribute

    @staticmethod
    def _stepped(call):
        def stepped(*args, **options):
            point()
            result = call(*args, **options)
            point()
            return result
        return stepped

    def __contains__(self, key):
        return self.store.__contains__(key)

    def __len__(self):
        return len(self.store)

    def __iter__(self):
        return iter(self.store)

    def __setitem__(self, key, value):
        self.set(key, value)

    def __getitem__(self, key):
        return self.store[key]


class Naive:
    """A cascade without tickets: what every schedule must be able to catch."""

    def __init__(self, fast, slow):
        self.fast, self.slow = fast, slow

    def get(self, key, default=None):
        value = self.fast.get(key)
        if value is None:
            value = self.slow.get(key)
            if value is not None:
                self.fast.set(key, value)
        return default if value is None else value

    def get_many(self, keys):
        return [self.get(key) for key in keys]

    def set(self, key, value):
        self.slow.set(key, value)
        self.fast.set(key, value)

    def set_many(self, items):
        for key, value in items:
            self.set(key, value)

    def delete(self, key):
        existed = self.slow.delete(key)
        self.fast.delete(key)
        return existed

    def close(self):
        self.slow.close()
