"""What a recorded process had promised at an instant, and what of it an image of the disk holds."""

import itertools
import struct

from deeds import deeds

PLACES = (512, 512 + 16 + 4096)         # of saved head pages in a marker file: docs/format.md
TXN_AT = 16 + 144                       # in one


class Oracle:
    """Reads the records along with the disk.

    ``kept`` is what must be there whatever was lost: for each thread, how many of its deeds. ``acknowledged`` and
    ``begun`` are what may be.
    """

    def __init__(self, seed, threads, count):
        self.states, self.written = [], {}
        for thread in range(threads):
            held = {}
            self.states.append([{}])
            for _, change in deeds(seed, thread, count):
                for key, value in change.items():
                    if value is None:
                        held.pop(key, None)
                    else:
                        held[key] = hash(value)
                        self.written.setdefault(key, set()).add(hash(value))
                self.states[thread].append(dict(held))
        self.begun, self.acknowledged, self.kept = ([0] * threads for _ in range(3))
        self.before = [[[0] * threads] for _ in range(threads)]     # what was acknowledged when each deed began
        self.clean = True               # nothing was written since the store was closed
        self.copy = None                # what the backup must hold: None as long as it need not be there
        self.copied = False
        self.heads, self.newest = bytearray(8192), 0
        self.commits = []               # (transaction, thread, deeds) that were acknowledged by then
        self.saves, self.syncs = {}, {}     # descriptor of a marker: the state saved there; sync: that of its file

    def take(self, kind, number, place, data, node):
        """One record; ``node`` is the file that it was about."""
        if kind == "N":
            self.hear(data.decode())
        elif kind in "WS" and node.name.endswith("data.mdb") and "/" in node.name and place < 8192:
            self.heads[place:place + len(data)] = data[:8192 - place]
            self.newest = max(struct.unpack_from("<Q", self.heads, at)[0] for at in (144, 4096 + 144))
        elif kind == "W" and "unsynced-" in node.name and place in PLACES:
            self.saves[number] = struct.unpack_from("<Q", data, TXN_AT)[0]
        elif kind == "B" and number in self.saves:
            self.syncs[place] = self.saves[number]
        elif kind == "E" and place in self.syncs:
            saved = self.syncs.pop(place)
            for txn, thread, done in self.commits:
                if txn <= saved:
                    self.kept[thread] = max(self.kept[thread], done)

    def hear(self, words):
        what, *rest = words.split(" ")
        if what == "b":
            thread, deed = map(int, rest)
            self.begun[thread], self.clean = deed + 1, False
            self.before[thread].append(list(self.acknowledged))
        elif what in "ad":
            thread, deed = map(int, rest)
            self.acknowledged[thread] = deed + 1
            self.commits.append((self.newest, thread, deed + 1))
            if what == "d":     # it syncs all that was acknowledged before it began
                self.kept = [max(pair) for pair in zip(self.kept, self.before[thread][deed + 1])]
                self.kept[thread] = deed + 1
        elif what == "backup":
            self.copied = [states[n] for states, n in zip(self.states, self.acknowledged)]
        elif what == "backed up":
            self.copy = self.copied
        elif what == "closed":
            self.kept, self.clean, self.commits = list(self.acknowledged), True, []     # compacting numbers anew

    def found(self, held):
        """What ``held`` is: ``complete``, ``less`` than was acknowledged, ``lost`` what had to be kept, ``mixed`` (no
        state that ever was), ``wrong`` (what was never written under that key)."""
        mine = [{} for _ in self.states]
        for key, value in held.items():
            if hash(value) not in self.written.get(key, ()):
                return "wrong"
            mine[int(key[1:key.index(":")])][key] = hash(value)
        ranges = [self.ranges(thread, found) for thread, found in enumerate(mine)]
        answers = {self.rank(cut) for cut in itertools.product(*ranges)}
        return min(answers, key=["complete", "less", "lost", "mixed"].index, default="mixed")

    def ranges(self, thread, found):
        """After which deeds the thread's keys are as they are: pairs of the first and the last of equal states."""
        hits, states = [], self.states[thread]
        for n in range(self.begun[thread] + 1):
            if states[n] == found:
                if hits and hits[-1][1] == n - 1:
                    hits[-1] = (hits[-1][0], n)
                else:
                    hits.append((n, n))
        return hits

    def rank(self, cut):
        """Of a state of all threads: nothing may be there without what was acknowledged before it began."""
        for thread, (first, _) in enumerate(cut):
            needed = self.before[thread][first]
            if any(last < n for (_, last), n in zip(cut, needed)):
                return "mixed"
        last = [last for _, last in cut]
        if all(have >= n for have, n in zip(last, self.acknowledged)):
            return "complete"
        return "less" if all(have >= n for have, n in zip(last, self.kept)) else "lost"
