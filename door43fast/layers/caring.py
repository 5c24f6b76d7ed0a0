"""The care of several layers that hold the same: counts, syncs, checks, copies."""

from __future__ import annotations

from typing import Any

from door43fast.errors import BackendUnavailableError, PartialWriteError, UnsupportedError, blames_layer
from door43fast.layers.breaker import OPEN
from door43fast.layers.conditional import ABSENT
from door43fast.layers.forwarding import Call
from door43fast.layers.guard import COUNTS


def debt_of(layer: Any) -> str:
    """What a layer lacks, in words."""
    return "it has not been there" if layer.ledger.unseen else (
        "it has still to be copied anew") if layer.ledger.lapsed is not None else (
        f"it owes {len(layer.ledger.owed)} keys")


class Care:
    """The care of :class:`door43fast.layers.several.Several`."""

    _layers: Any
    _roster: Any
    _need: int
    _stale_served: int
    _all_asked = False      # whether every layer is asked by each read
    _open: Any
    _complete: Any
    _ask_first: Any
    capabilities: Any

    def _care(self, call: Call) -> Any:
        self._open()
        return getattr(self, f"_care_{call.name.strip('_')}")(call)

    def _care_served_stale(self, call: Call) -> None:
        self._stale_served += 1

    def _care_record_trace(self, call: Call) -> Any:
        raise UnsupportedError(f"{type(self).__name__} records no traces, as its capabilities say: record those of a "
                               "layer, before it becomes one")

    def _care_stats(self, call: Call) -> dict[str, Any]:
        rows = []
        for layer in self._layers:
            rows.append({"name": layer.name, **layer.store.stats(), "owed": len(layer.ledger.owed),
                         "lapsed": layer.ledger.lapsed is not None})
        up = [row for row in rows if not row["lapsed"] and "error" not in row and row["state"] != OPEN]
        first = (up or rows)[0]
        total = {name: max(row.get(name) or 0 for row in rows) for name in COUNTS}
        if not self._all_asked:     # each read is answered by one
            total.update({name: sum(row.get(name) or 0 for row in rows) for name in ("hits", "misses")})
        return {"entries": first["entries"], **total, "stale": self._stale_served,
                "bytes": sum(row["bytes"] or 0 for row in rows),
                "owed": sum(row["owed"] for row in rows), "layers": rows}

    def _care_flush(self, call: Call) -> None:
        """Sync the layers that are up. What others owe is not waited for, but told where too few have some key."""
        done: list[Any] = []
        failed: dict[str, Exception] = {}
        for layer in self._layers:
            try:
                call.on(layer.store)
            except Exception as error:
                if not blames_layer(error):
                    raise
                failed[layer.name] = error
            else:
                if not layer.ledger.clean:
                    failed[layer.name] = BackendUnavailableError(debt_of(layer))
                if layer.ledger.lapsed is None:
                    done.append(layer)
        self._roster.flush()
        owed = {key for layer in done for key in list(layer.ledger.owed)}
        if any(len(done) - sum(key in layer.ledger.owed for layer in done) < self._need for key in (*owed, ABSENT)):
            raise PartialWriteError("the flush", [layer.name for layer in done if layer.ledger.clean], failed)

    def _care_verify(self, call: Call) -> dict[str, Any]:
        progress, before, reports = call.options["progress"], 0, []

        def told(done: int, total: int, what: str) -> None:
            nonlocal last
            last = total
            progress(before + done, before + total, what)
        for layer in self._layers:
            last = 0
            try:
                report = layer.store.verify(progress=None if progress is None else told)
            except Exception as error:
                if not blames_layer(error):
                    raise
                report = {"checked": 0, "errors": [f"{type(error).__name__}: {error}"]}
            before += last
            reports.append({**report, "errors": [f"{layer.name}: {wrong}" for wrong in report["errors"]]})
        return {"checked": sum(report["checked"] for report in reports),
                "errors": [wrong for report in reports for wrong in report["errors"]]}

    def _care_backup(self, call: Call) -> Any:
        able = [layer for layer in self._complete() if layer.store.capabilities.backup]
        if not able and not self.capabilities.backup:
            raise UnsupportedError(f"no layer of {type(self).__name__} can be backed up, as its capabilities say: copy "
                                   "it with other.set_many(store.items())")
        return self._ask_first(able, "backup", lambda layer: call.on(layer.store))
