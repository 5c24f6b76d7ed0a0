"""Keys of the face of diskcache: any key that its users give, as a key of a store with ``keys="any"``.

A str, bytes, int, float or tuple of them is its own name in the store, so that other openers find it under the same
key. What such a store cannot hold stands in a tuple that begins with ``RESERVED``: the empty str and bytes, pickled
keys, and the names of tags, which the store itself knows by their hashes only.
"""

from __future__ import annotations

import pickle
from collections.abc import Collection
from typing import Any

from door43fast.compute import text_key

RESERVED = "door43fast.diskcache"
TAG = (RESERVED, "tag")
PICKLED = (RESERVED, "pickle")
PROTOCOL = 5    # of pickled keys: fixed, since a key is found by the bytes of its pickle


def name_of(key: Any, pickles: bool) -> Any:
    """What ``key`` is called in the store.

    Raises
    ------
    TypeError
        If it needs pickle and ``pickles`` is False.
    """
    kind = type(key)
    if kind is str or kind is bytes:
        return key or (RESERVED, key)
    if kind is int:
        return key
    if kind is float:       # SQLite takes 1 and 1.0 for one key
        return int(key) if key.is_integer() else key
    if kind is tuple and key and key[0] != RESERVED and _plain(key):
        return key
    if pickles:
        return (*PICKLED, pickle.dumps(key, PROTOCOL))
    raise TypeError(f"a key is a str, bytes, int, float or a tuple of them, not {kind.__name__} {repr(key)[:60]}: give "
                    'such a key, or open the cache with codec="pickle", which takes any')


def _plain(key: tuple[Any, ...]) -> bool:
    return all(_plain(part) if type(part) is tuple else type(part) in (str, bytes, int) or
               (type(part) is float and part == part) for part in key)


def key_of(name: Any, pickles: bool) -> Any:
    """The key that is called ``name`` in the store; a pickled one stays as it is unless ``pickles``."""
    if type(name) is tuple and name[0] == RESERVED:
        if len(name) == 2:
            return name[1]
        if pickles:
            return pickle.loads(name[2])
    return name


def is_tag(name: Any) -> bool:
    """Whether the record holds the name of a tag, and is none of the user's."""
    return type(name) is tuple and name[:2] == TAG


def sort_key(key: Any) -> tuple[int, Any]:
    """The order of SQLite: numbers, then text, then bytes; and tuples last, as their text."""
    kind = type(key)
    if kind is int or kind is float:
        return 0, key
    if kind is str:
        return 1, key
    return (2, key) if kind is bytes else (3, repr(key))


def call_key(name: str, args: tuple[Any, ...], kwargs: dict[str, Any], typed: bool, ignore: Collection[Any],
             pickles: bool) -> Any:
    """The key of a call of a memoized function, without the arguments to be ignored: a text where that is possible.

    In the text 3 and 3.0 differ, as they do in the pickles that diskcache makes of its keys.
    """
    args = tuple(arg for index, arg in enumerate(args) if index not in ignore)
    kwargs = {word: value for word, value in kwargs.items() if word not in ignore}
    kinds: tuple[Any, ...] = ()
    if typed:
        kinds = tuple(f"{type(value).__module__}.{type(value).__qualname__}"
                      for value in (*args, *(kwargs[word] for word in sorted(kwargs))))
    try:
        return text_key(name, (*args, kinds) if typed else args, kwargs)
    except TypeError as error:
        if not pickles:
            raise TypeError(f'{error}; or open the cache with codec="pickle", which takes any argument') from None
        return (name, args, tuple(sorted(kwargs.items())), kinds)
