"""Schemas: what is checked, what an error says, what is exported."""

import json
from datetime import timedelta
from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import given as examples
from hypothesis import strategies as st
from msgspec import Meta

from door43fast import config
from door43fast.errors import ConfigError
from door43fast.plugins import registry


class Sample(config.Options, kw_only=True):
    path: Annotated[config.Location, Meta(description="The place.")]
    max_bytes: Annotated[config.Size | None, Meta(description="The most.")] = None
    wait: Annotated[config.Duration, Meta(description="How long.")] = 5.0
    mode: Annotated[Literal["fast", "safe"], Meta(description="How.")] = "safe"
    count: Annotated[int, Meta(description="How many.", ge=1)] = 1
    flag: Annotated[bool, Meta(description="Whether.")] = False
    clock: Annotated[Any, Meta(description="When.", extra={"textual": False})] = None
    password: Annotated[str | None, Meta(description="Who.", extra={"secret": True})] = None


def check(where="plan.layers[1]", **options):
    return config.checked(Sample, {"path": "p", **options}, where)


@pytest.mark.parametrize(("text", "wanted"), [
    (0, 0), (5, 5), ("5", 5), ("256MB", 256 << 20), ("1.5 KiB", 1536), ("2g", 2 << 30), ("1TB", 1 << 40), ("7b", 7)])
def test_sizes(text, wanted):
    assert check(max_bytes=text).max_bytes == wanted == config.size(text, "x")


@pytest.mark.parametrize(("text", "wanted"), [
    (0, 0), (1.5, 1.5), ("5", 5), ("5m", 300), ("100ms", 0.1), ("1.5 h", 5400), ("2d", 172800), ("1w", 604800),
    ("30s", 30), ("2min", 120), (timedelta(minutes=1), 60)])
def test_durations(text, wanted):
    assert check(wait=text).wait == pytest.approx(wanted) and config.duration(text, "x") == pytest.approx(wanted)


@pytest.mark.parametrize("option", ["max_bytes", "wait"])
@pytest.mark.parametrize("value", [-1, "-1", "5 apples", "", True, [], float("nan"), float("inf"), "1e3", {}])
def test_what_is_no_number_with_a_unit(option, value):
    with pytest.raises(ConfigError, match=rf"^plan\.layers\[1\]\.{option}="):
        check(**{option: value})


@pytest.mark.parametrize(("options", "words"), [
    ({"max_byte": 5}, "plan.layers[1] has no option 'max_byte': did you mean 'max_bytes'?"),
    ({"mode": "faste"}, "plan.layers[1].mode='faste' is not allowed"),
    ({"mode": "faste"}, "did you mean 'fast'?"),
    ({"mode": 3}, "'fast' or 'safe'"),
    ({"count": 0}, "plan.layers[1].count=0 is not allowed (expected `int` >= 1)"),
    ({"count": "3"}, "a whole number"),
    ({"flag": "true"}, "true or false"),
    ({"path": ""}, "plan.layers[1].path=''"),
])
def test_an_error_gives_path_value_and_what_is_allowed(options, words):
    with pytest.raises(ConfigError) as error:
        check(**options)
    assert words in str(error.value)


def test_what_is_needed_is_asked_for():
    with pytest.raises(ConfigError, match=r"plan needs 'path': a path"):
        config.checked(Sample, {}, "plan")


def test_text_is_read_only_where_it_comes_from_a_url():
    read = config.checked(Sample, {"path": "p", "count": "3", "flag": "True", "wait": "1m"}, "u", from_text=True)
    assert (read.count, read.flag, read.wait) == (3, True, 60)
    with pytest.raises(ConfigError, match="no URL can hold"):
        config.checked(Sample, {"path": "p", "clock": "now"}, "u", from_text=True)


def test_secrets_are_never_shown():
    refused = pytest.raises(ConfigError, check, password=["hush"])
    for shown in (repr(check(password="hush")), str(refused.value)):
        assert "hush" not in shown and "***" in shown
    url = "redis://me:hush@host:1/0?password=hush&ttl=5&auth_token=hush"
    assert config.redacted(url) == "redis://me:***@host:1/0?password=***&ttl=5&auth_token=***"
    for word in ("hu@sh", "hu/sh", "hu:sh", "hu?sh", "hu#sh"):
        assert config.redacted(f"redis://me:{word}@host/0") == "redis://me:***@host/0", word
    for plain in ("redis://host/0?note=a@b", "file:///a@b", "redis://me@host/0", "sqlite:////a/b.db?ttl=5m"):
        assert config.redacted(plain) == plain
    import door43fast as d43
    for target in (url, "lmdb://me:hush@host/x", "lmdb:///x?password=hush", "lmdb:///x?password=hush&password=hush"):
        with pytest.raises(d43.Error) as error:
            d43.open(target)
        assert "hush" not in str(error.value)


def test_given_is_what_differs_from_the_defaults():
    assert config.given(check(max_bytes="1KB", mode="safe")) == {"path": "p", "max_bytes": 1024}
    assert check(**config.given(check(wait="1m")) | {"path": "q"}) == config.checked(
        Sample, {"path": "q", "wait": 60}, "x")


def test_json_schema_and_table():
    schema = config.json_schema(Sample)
    assert schema["required"] == ["path"] and schema["additionalProperties"] is False
    assert "clock" not in schema["properties"]
    assert schema["properties"]["max_bytes"]["type"] == ["integer", "string", "null"]
    assert schema["properties"]["wait"] == {"description": "How long.", "type": ["number", "string"], "minimum": 0,
                                            "examples": ["5m"], "default": 5.0}
    json.dumps(schema)
    assert "| `max_bytes` | a size such as '256MB', or none | `None` | The most. |" in config.table(Sample)


@pytest.mark.parametrize("name", [name for name in registry.names() if registry.about(name).available])
def test_every_schema_is_whole(name):
    schema = registry.get(name).Options
    assert issubclass(schema, config.Options)
    for field in config.fields(schema).values():
        assert field.description.endswith((".", ")")), f"{name}.{field.name} has no description"
        if not field.required:      # a default is what may be given
            assert field.read(field.default, "x") == field.default
    assert json.dumps(config.json_schema(schema))


@examples(st.dictionaries(st.sampled_from([*Sample.__struct_fields__, "wrong"]),
                          st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()
                          | st.lists(st.integers())))
def test_whatever_is_given_it_is_checked_or_refused(options):
    for from_text in (False, True):
        try:
            made = config.checked(Sample, options, "plan", from_text=from_text)
        except ConfigError as error:
            assert "plan" in str(error)
        else:
            assert isinstance(made, msgspec.Struct) and made.count >= 1 and made.mode in ("fast", "safe")


@pytest.mark.parametrize(("name", "text", "words"), [
    ("p.toml", "type = ", "is not TOML"), ("p.json", "{", "is not JSON"), ("p.json", "[]", "must be a table"),
    ("p.toml", "\xff", None), ("none.toml", None, "cannot be read")])
def test_files_that_are_no_plans(tmp_path, name, text, words):
    if text is not None:
        (tmp_path / name).write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigError, match=words):
        config.load(tmp_path / name)
