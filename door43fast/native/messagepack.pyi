from typing import Any

class Unfit(Exception):
    """A value that cannot be stored as it is: what is wrong with it, and its place, innermost part first."""

    kind: type[Exception]
    why: str
    parts: list[str]

    def __init__(self, kind: type[Exception], why: str) -> None: ...
    def error(self) -> Exception: ...

def encode_as_msgpack(value: Any) -> bytes: ...
def decode_from_msgpack(payload: Any) -> Any: ...
