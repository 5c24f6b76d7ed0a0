"""Values as the texts that an app reads and writes, and back.

``auto`` takes a text as it is, so that what the app left is what is read. Any other value becomes JSON with white space
behind it, which says on the way back that it is no text, and which the app's ``JSON.parse`` passes over. What JSON does
not hold (bytes, arrays, dates) is an object of two members, a mark and base64.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

import msgspec

from door43fast.codecs import AutoCodec, JsonCodec
from door43fast.contracts import JSON
from door43fast.errors import ConfigError, CorruptError

MARK = "\t\n\t\n"           # behind a text that stands for something else
MARKED, BYTES = "door43fast", "base64"

_auto = AutoCodec()
_json = JsonCodec()


class TextCodec:
    """Texts, as they are; and None where the form has nulls."""

    name = "text"

    def __init__(self, nulls: bool) -> None:
        self._nulls = nulls

    def encode(self, value: Any) -> tuple[int, Any]:
        if isinstance(value, str):
            return 0, _whole(str.__str__(value))
        if value is None and self._nulls:
            return 0, None
        raise TypeError(f'codec="text" stores str, as the app does, not {type(value).__name__}: encode it, or use '
                        'codec="json" for what the app has by JSON.parse, or codec="auto"')

    def decode(self, _: int, text: Any) -> Any:
        return text


class JsonTextCodec:
    """Every value as JSON, as by the app's ``JSON.stringify``; one that is no JSON cannot be read."""

    name = "json"

    def encode(self, value: Any) -> tuple[int, Any]:
        return 0, bytes(_json.encode(value)[1]).decode()

    def decode(self, _: int, text: Any) -> Any:
        if text is None:
            return None
        try:
            return _json.decode(JSON, text.encode())
        except CorruptError:
            raise CorruptError(f"the text {text[:40]!r} is no JSON: the app keeps it as it is; open the storage with "
                               'codec="text" or "auto"') from None


class AutoTextCodec:
    """Every value: see the head of this module."""

    name = "auto"

    def encode(self, value: Any) -> tuple[int, Any]:
        if isinstance(value, str):
            text = str.__str__(value)
            return 0, _whole(text) if not text.endswith(MARK) else json.dumps(text) + MARK
        text = _as_json(value)
        if text is None:
            mark, payload = _auto.encode(value)
            text = json.dumps({MARKED: mark, BYTES: base64.b64encode(payload).decode()})
        return 0, text + MARK

    def decode(self, _: int, text: Any) -> Any:
        if text is None or not text.endswith(MARK):
            return text
        try:
            value = _json.decode(JSON, text.encode())
        except (CorruptError, UnicodeEncodeError):      # a text of the app that happens to end so
            return text
        if _is_marked(value):
            try:
                return _auto.decode(value[MARKED], base64.b64decode(value[BYTES], validate=True))
            except (binascii.Error, TypeError, ValueError) as error:
                raise CorruptError(f"the text {text[:40]!r} should hold bytes in base64 and does not ({error}): "
                                   "set the key anew") from error
        return value


def codec_of(name: str, nulls: bool) -> Any:
    """The codec that the option names."""
    kinds: dict[str, Any] = {"auto": AutoTextCodec, "json": JsonTextCodec}
    if name == "text":
        return TextCodec(nulls)
    if name not in kinds:
        raise ConfigError(f"codec={name!r} is unknown: AsyncStorage holds texts, by 'auto', 'text' or 'json'")
    return kinds[name]()


def _whole(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError(f"the text {text[:40]!r} holds a lone surrogate, which UTF-8 cannot store") from None
    return text


def _is_marked(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() == {MARKED, BYTES}


def _as_json(value: Any) -> str | None:
    """The JSON of a value that JSON gives back as it was; None for any other."""
    if _is_marked(value):
        return None
    try:
        text = bytes(_json.encode(value)[1]).decode()
    except (TypeError, ValueError):
        return None
    return text


# -- merging -------------------------------------------------------------------------------------------------


def merged(old: str | None, new: str | None) -> str | None:
    """What ``mergeItem`` makes of two texts: objects of JSON are merged deeply, anything else is replaced.

    Members that one side alone has stay as they were, to the letter.
    """
    if old is None or new is None:
        return new
    try:
        both = _merged(old.encode(), new.encode())
    except RecursionError:
        raise ValueError("the objects to be merged are nested too deeply: set the value whole") from None
    return new if both is None else both.decode() + (MARK if new.endswith(MARK) else "")


def _merged(old: Any, new: Any) -> bytes | None:
    before, after = _members(old), _members(new)
    if before is None or after is None:
        return None
    for name, raw in after.items():
        deep = _merged(bytes(before[name]), bytes(raw)) if name in before else None
        before[name] = raw if deep is None else msgspec.Raw(deep)
    return msgspec.json.encode(before)


def _members(text: bytes) -> dict[str, msgspec.Raw] | None:
    try:
        return msgspec.json.decode(text, type=dict[str, msgspec.Raw])
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
