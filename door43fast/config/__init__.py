"""Configuration: one typed schema a backend, from which options are checked, documented and exported.

A schema is a ``msgspec.Struct`` with keyword-only fields, each with a description::

    class Options(config.Options, kw_only=True):
        path: Annotated[config.Location, Meta(description="The file.")]
        max_bytes: Annotated[config.Size | None, Meta(description="The most that it holds.")] = None
"""

from door43fast.config.files import load
from door43fast.config.schema import (
    Duration, Field, Location, Options, Size, checked, fields, given, json_schema, place, table)
from door43fast.config.units import duration, size
from door43fast.config.urls import Address, parse, redacted

__all__ = ["Address", "Duration", "Field", "Location", "Options", "Size", "checked", "duration", "fields", "given",
           "json_schema", "load", "parse", "place", "redacted", "size", "table"]
