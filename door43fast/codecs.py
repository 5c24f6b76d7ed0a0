"""Value codecs: how a store on disk turns a value into bytes under a mark, and back."""

from __future__ import annotations

import pickle
from typing import Any

from door43fast.contracts import JSON, MSGPACK, NUMPY, PICKLE, RAW, Codec
from door43fast.errors import ConfigError, CorruptError, did_you_mean
from door43fast.native.codec import AutoCodec
from door43fast.native.jsontext import to_json
from door43fast.native.messagepack import encode_as_msgpack

__all__ = ["AutoCodec", "JsonCodec", "MsgpackCodec", "NumpyCodec", "PickleCodec", "RawCodec", "resolve"]

_AUTO = AutoCodec()


class _Marked:
    """What the named codecs share: each value says by its mark how it is read, whichever codec is asked."""

    name = ""

    def decode(self, mark: int, payload: Any) -> Any:
        """The value with this mark and these bytes; a pickled one is refused."""
        return _AUTO.decode(mark, payload)

    def __reduce__(self) -> tuple[Any, ...]:
        return resolve, (self.name,)

    def __repr__(self) -> str:
        return f'<codec "{self.name}">'


class RawCodec(_Marked):
    """Takes bytes, bytearray and memoryview, and nothing else."""

    name = "raw"

    def encode(self, value: Any) -> tuple[int, bytes]:
        if not isinstance(value, (bytes, bytearray, memoryview)):
            raise TypeError(f'codec="raw" stores bytes, not {type(value).__name__}: encode it, or use codec="auto"')
        return RAW, value if type(value) is bytes else memoryview(value).tobytes()


class JsonCodec(_Marked):
    """Takes what JSON brings back unchanged: None, bool, 64-bit int, finite float, str, lists, dicts with str keys."""

    name = "json"

    def encode(self, value: Any) -> tuple[int, bytes]:
        return JSON, to_json(value)


class MsgpackCodec(_Marked):
    """Takes what ``auto`` takes, with bytes, str and arrays as MessagePack too."""

    name = "msgpack"

    def encode(self, value: Any) -> tuple[int, bytes]:
        return MSGPACK, encode_as_msgpack(value)


class NumpyCodec(_Marked):
    """Takes NumPy arrays, and nothing else."""

    name = "numpy"

    def encode(self, value: Any) -> tuple[int, bytes]:
        mark, payload = _AUTO.encode(value) if type(value).__name__ == "ndarray" else (None, b"")
        if mark != NUMPY:
            raise TypeError(f'codec="numpy" stores NumPy arrays, not {type(value).__name__}: '
                            'pass numpy.asarray(value), or use codec="auto"')
        return mark, payload


class PickleCodec(_Marked):
    """Takes what pickle takes, and unpickles it: only for a store that nobody else can write to."""

    name = "pickle"

    def encode(self, value: Any) -> tuple[int, bytes]:
        return PICKLE, pickle.dumps(value, pickle.HIGHEST_PROTOCOL)

    def decode(self, mark: int, payload: Any) -> Any:
        """The value with this mark and these bytes. Runs the code that a pickled value names."""
        if mark != PICKLE:
            return super().decode(mark, payload)
        try:
            return pickle.loads(payload)
        except (pickle.UnpicklingError, EOFError, IndexError, KeyError, ValueError) as error:
            raise CorruptError(f"a stored value is not a pickle ({error}): it was damaged; run verify()") from error


_CODECS: dict[str, Codec] = {codec.name: codec for codec in (
    _AUTO, RawCodec(), JsonCodec(), MsgpackCodec(), NumpyCodec(), PickleCodec())}


def resolve(codec: str | Codec) -> Codec:
    """The codec that the option ``codec=`` names, or that it is.

    Raises
    ------
    ConfigError
        If the name is unknown, or the object lacks ``name``, ``encode`` or ``decode``.
    """
    if isinstance(codec, str):
        if codec in _CODECS:
            return _CODECS[codec]
        raise ConfigError(f"codec={codec!r} is unknown: {did_you_mean(codec, _CODECS)}")
    if isinstance(codec, type):
        raise ConfigError(f"codec={codec.__name__} is a class: pass an instance, {codec.__name__}()")
    missing = [what for what in ("encode", "decode") if not callable(getattr(codec, what, None))]
    if not isinstance(getattr(codec, "name", None), str):
        missing.append("name")
    if missing:
        raise ConfigError(f"codec={codec!r} is not a codec: it lacks {' and '.join(missing)}")
    return codec
