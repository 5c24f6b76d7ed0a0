"""Writes to a primary that others can reach too: made only while its head says that we are the writer.

The head is among what the write's own transaction has read, so a promotion between the two is a conflict, and nothing
is written. What no transaction can do (``touch``, ``clear``, a computation's result) is asked before and after.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from door43fast.errors import ConflictError, FencedError
from door43fast.layers.forwarding import Call
from door43fast.reference.packing import unpack
from door43fast.replication.acknowledging import taken
from door43fast.replication.head import Head, Place
from door43fast.replication.hiding import unhidden
from door43fast.tagged import tags_of

PRIMARY = "primary"


def _set(t: Any, call: Call) -> None:
    t.set(*call.args, ttl=call.options["ttl"], tags=call.options["tags"])


def _same(t: Any, call: Call) -> Any:
    return getattr(t, call.name)(*call.args, **call.options)


def _incr(t: Any, call: Call) -> Any:
    """It keeps the tags of its entry, which a transaction by itself does not. If they change, it is a conflict."""
    result = _same(t, call)
    key = call.args[0]
    t._writes[key] = t._writes[key]._replace(tags=tags_of(t._store, [key])[0] or ())
    return result


IN_TRANSACTION: dict[str, Callable[[Any, Call], Any]] = {
    "set": _set, "delete": _same, "pop": _same, "add": _same, "replace": _same, "incr": _incr, "set_many": _same,
    "delete_many": _same, "set_packed": lambda t, call: t.set_many(unpack(*call.args))}


def fenced(primary: Any, place: Place, term: int, call: Call) -> Any:
    """Carry out a write in our term, or raise ``FencedError`` with nothing written."""
    while True:
        token, head = place.read()
        _check(head, term, place)
        if call.name == "_commit":
            reads, writes = call.args
            try:
                return primary._commit({**reads, place.key: token}, writes,
                                       ranges=unhidden(call.options["ranges"], place.key, token))
            except ConflictError:
                _check(place.read()[1], term, place)
                raise
        if call.name not in IN_TRANSACTION:
            return call.on(primary)
        try:
            with primary.transaction() as t:
                _check(place.decoded(t.get(place.key)), term, place)
                result = IN_TRANSACTION[call.name](t, call)
        except ConflictError:       # the head, or the record: look anew
            continue
        if call.options.get("durable"):
            with taken(call.name):
                primary.flush()
        return result


def _check(head: Head | None, term: int, place: Place) -> None:
    if head is None or head.term != term or head.role != PRIMARY:
        since = 0 if head is None else head.term
        raise FencedError(f"another is the writer of {place.store!r}, in term {since}, and this one was it in term "
                          f"{term}: nothing was written", since)
