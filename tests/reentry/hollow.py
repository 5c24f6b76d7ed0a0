"""A program: objects of every native class as ``__new__`` leaves them, and every method of each, with many arguments.

It prints what it is about to call. Any exception is right; that it goes on to the end is what is tested.
"""

import importlib
import pkgutil
import sys
from contextlib import suppress

import door43fast.native

IMMUTABLE = 1 << 8      # Py_TPFLAGS_IMMUTABLETYPE: of a class in C, not of one in Python
GIVEN = [(), ("a",), ("a", "b"), ("a", "b", "c"), (1,), (1, 2), (1, 2, 3), (None,), (b"a",), (["a"],), ({},),
         ({"a": 1},), (print,), ({}, {}), ([], [], [])]
OPERATORS = [repr, str, hash, len, iter, bool, bytes, memoryview, lambda o: o[0], lambda o: o["a"], lambda o: "a" in o,
             lambda o: o == o, lambda o: o.__setitem__("a", 1), lambda o: o.__delitem__("a")]


def hollow(cls):
    for given in range(5):
        with suppress(Exception):       # it cannot be made so
            return cls.__new__(cls, *[None] * given)
    return None


def classes():
    for info in pkgutil.iter_modules(door43fast.native.__path__):
        module = importlib.import_module(f"door43fast.native.{info.name}")
        for cls in list(vars(module).values()):
            if isinstance(cls, type) and cls.__module__ == module.__name__ and cls.__flags__ & IMMUTABLE:
                yield cls


def main():
    called = 0
    for cls in classes():
        if hollow(cls) is None:
            continue
        for name in sorted({*dir(cls), "__reduce__"} - {"__class__", "__new__", "__init_subclass__", "__dir__"}):
            for args in GIVEN:
                print(cls.__module__, cls.__name__, name, args, file=sys.stderr, flush=True)
                with suppress(Exception):
                    found = getattr(hollow(cls), name)(*args)
                    if hasattr(found, "__next__"):
                        next(found)
                called += 1
        for operator in OPERATORS:
            print(cls.__module__, cls.__name__, operator, file=sys.stderr, flush=True)
            with suppress(Exception):
                operator(hollow(cls))
    print(called)


main()
