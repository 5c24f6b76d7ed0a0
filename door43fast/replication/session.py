"""A session: reads that see what was written through it, whichever member answers, and never go back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from door43fast.layers.forwarding import Call, Wrapper

if TYPE_CHECKING:
    from door43fast.replication.store import Replicated


class Session(Wrapper):
    """What ``store.session()`` gives: the store, with a memory of how far its user has seen.

    ``seq`` is that number; ``store.session(seq)`` goes on from it elsewhere, in another process too where the primary
    keeps a journal. Closing it leaves the store open. Of one thread at a time.
    """

    def __init__(self, store: Replicated, seq: int) -> None:
        super().__init__(store)
        self.seq = seq

    def _ask(self, call: Call) -> Any:
        found, at = self._below().ask(call, self.seq)
        if at is not None:
            self.seq = max(self.seq, at)
        elif self.slow.reads.policy != "primary":
            self.seq = max(self.seq, self.slow.sequence)
        return found

    _ask_key = _ask_keys = _ask_all = _ask

    def _change(self, call: Call) -> Any:
        store = self._below()
        try:
            return store._change(call)
        finally:
            self.seq = max(self.seq, store.written)

    def close(self) -> None:
        """End the session."""
        self._shut = True
