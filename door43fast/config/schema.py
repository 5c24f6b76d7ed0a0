"""Schemas of options: checking what is given, and telling what may be given."""

from __future__ import annotations

import functools
import os
import typing
from collections.abc import Mapping
from typing import Annotated, Any, Literal, NamedTuple, TypeVar, get_args, get_origin

import msgspec
from msgspec import Meta

from door43fast.config.units import duration, size
from door43fast.errors import ConfigError, did_you_mean

Size = Annotated[int, Meta(extra={"unit": "size"})]
Duration = Annotated[float, Meta(extra={"unit": "duration"})]
Location = Annotated[str, Meta(min_length=1, extra={"unit": "path"})]

UNITS: dict[str, Any] = {"size": size, "duration": duration}
PLAIN = {int: "a whole number", float: "a number", str: "text", bool: "true or false", type(None): "none",
         dict: "a table"}
JSON = {"size": {"type": ["integer", "string"], "minimum": 0, "examples": ["256MB"]},
        "duration": {"type": ["number", "string"], "minimum": 0, "examples": ["5m"]}}
WORDS = {"size": "a size such as '256MB'", "duration": "seconds or a text such as '5m'", "path": "a path"}


class Options(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The base of every schema: fields by keyword only, and no others. Its repr shows no secret."""

    def __repr__(self) -> str:
        shown = (f"{name}={'***' if field.secret else repr(getattr(self, name))}"
                 for name, field in fields(type(self)).items())
        return f"{type(self).__name__}({', '.join(shown)})"


Schema = TypeVar("Schema", bound=Options)


class Field(NamedTuple):
    """One option: ``unit`` is "size", "duration" or "path" where it is one; ``secret`` is never shown;
    ``textual`` is False for objects that no file and no URL can hold."""

    name: str
    type: Any
    default: Any
    description: str
    unit: str | None
    secret: bool
    textual: bool

    @property
    def required(self) -> bool:
        return self.default is msgspec.NODEFAULT

    @property
    def allowed(self) -> str:
        """What it may be, in words."""
        return WORDS[self.unit] + _optional(self.type) if self.unit else _words(self.type)


    def read(self, value: Any, path: str, *, from_text: bool = False) -> Any:
        """The value as its type has it; a ConfigError names it by ``path``."""
        if self.unit == "path" and isinstance(value, (bytes, os.PathLike)):
            value = os.fsdecode(value)
        if self.unit in UNITS and not (value is None and _optional(self.type)):
            return UNITS[self.unit](value, path)
        if not self.textual:
            if from_text:
                raise ConfigError(f"{path} is an object, which no URL can hold: give it to open() beside the URL")
            return value
        if from_text and isinstance(value, str) and value.lower() in ("true", "false"):
            value = value.lower()
        try:
            return msgspec.convert(value, self.type, strict=not from_text)
        except msgspec.ValidationError as error:
            reason = str(error)
        near = ""
        if isinstance(value, str) and "'" in self.allowed:
            near = f": {did_you_mean(value, _literals(self.type))}"
        shown, why = ("'***'", "") if self.secret else (repr(value), f" ({reason[0].lower()}{reason[1:]})")
        raise ConfigError(f"{path}={shown} is not allowed{why}; it may be {self.allowed}{near}")


def _metas(kind: Any) -> list[Meta]:
    """Every Meta in an annotation, the outer ones first."""
    if get_origin(kind) is Annotated:
        inner, *metas = get_args(kind)
        return [one for one in metas if isinstance(one, Meta)] + _metas(inner)
    if get_origin(kind) is Literal:
        return []
    return [meta for one in get_args(kind) for meta in _metas(one)]


def _words(kind: Any) -> str:
    origin = get_origin(kind)
    if origin is Annotated:
        return _words(get_args(kind)[0])
    if origin is Literal:
        return " or ".join(repr(one) for one in get_args(kind))
    if origin in PLAIN:
        return PLAIN[origin]
    if get_args(kind):
        return ", or ".join(_words(one) for one in get_args(kind))
    return PLAIN.get(kind, "an object")


def _optional(kind: Any) -> str:
    return ", or none" if "none" in _words(kind).split(", or ") else ""


@functools.cache
def fields(schema: type[Options]) -> Mapping[str, Field]:
    """The options of a schema by name, in their order."""
    hints = typing.get_type_hints(schema, include_extras=True)
    found = {}
    for name, default in zip(schema.__struct_fields__, _defaults(schema), strict=True):
        metas = _metas(hints[name])
        extra: dict[str, Any] = {}
        for meta in metas[::-1]:
            extra.update(meta.extra or {})
        description = next((meta.description for meta in metas if meta.description), "")
        found[name] = Field(name, hints[name], default, description, extra.get("unit"), extra.get("secret", False),
                            extra.get("textual", True))
    return found


def _defaults(schema: type[Options]) -> list[Any]:
    return [one.default if one.default_factory is msgspec.NODEFAULT else one.default_factory()
            for one in msgspec.structs.fields(schema)]


def place(where: str, name: str) -> str:
    """What an option is called in an error: by its path in a plan, by its name alone in a call."""
    return name if where.endswith(")") else f"{where}.{name}"


def checked(schema: type[Schema], options: Mapping[str, Any], where: str, *, from_text: bool = False) -> Schema:
    """The options as an instance of ``schema``, with its defaults where nothing was given.

    Parameters
    ----------
    schema : type
        A subclass of :class:`Options`.
    options : mapping
        What was given.
    where : str
        The place in a plan, such as ``plan.layers[1]``, or the call, such as ``open()``.
    from_text : bool
        Read numbers and truth values out of text, as a URL holds them.

    Raises
    ------
    ConfigError
        With the path of the option, its value, and what is allowed.
    """
    known = fields(schema)
    values = {}
    for name, value in options.items():
        if name not in known:
            raise ConfigError(f"{where} has no option {name!r}: {did_you_mean(name, known)}")
        values[name] = known[name].read(value, place(where, name), from_text=from_text)
    for name, field in known.items():
        if field.required and name not in values:
            raise ConfigError(f"{where} needs {name!r}: {field.allowed}")
    return schema(**values)


def _literals(kind: Any) -> list[Any]:
    if get_origin(kind) is Literal:
        return list(get_args(kind))
    return [one for arg in get_args(kind) if not isinstance(arg, Meta) for one in _literals(arg)]


def given(options: Options) -> dict[str, Any]:
    """What differs from the defaults: enough to make the same options again."""
    return {name: value for name, field in fields(type(options)).items()
            if (value := getattr(options, name)) is not field.default and value != field.default}


def json_schema(schema: type[Options]) -> dict[str, Any]:
    """The schema as JSON Schema (draft 2020-12), without what no file can hold."""
    made = msgspec.json.schema(schema)
    made = made["$defs"][schema.__name__] if "$defs" in made else made
    for name, field in fields(schema).items():
        if not field.textual:
            del made["properties"][name]
        elif field.unit in JSON:
            about = made["properties"][name]
            about.pop("anyOf", None)
            about.update(JSON[field.unit])
            about["type"] = about["type"] + ["null"] * bool(_optional(field.type))
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **made}


def table(schema: type[Options]) -> str:
    """The options as a table in Markdown."""
    lines = ["| option | may be | default | |", "|---|---|---|---|"]
    for field in fields(schema).values():
        default = "needed" if field.required else f"`{field.default!r}`"
        lines.append(f"| `{field.name}` | {field.allowed} | {default} | {field.description} |")
    return "\n".join(lines) + "\n"
