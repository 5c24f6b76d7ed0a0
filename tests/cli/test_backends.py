"""``door43fast backends``: what there is, and the options of one, by its schema."""

import json

from door43fast.plugins import registry


def test_backends_are_listed(empty):
    listed = {one["name"]: one for one in empty.json("backends")}
    assert set(listed) == set(registry.names()) and listed["sqlite"]["available"] and listed["lmdb"]["remedy"] == ""
    assert "sqlite" in empty("backends").stdout


def test_options_of_one(empty):
    options = {one["name"]: one for one in empty.json("backends", "sqlite")}
    assert options["path"]["required"] and options["busy_timeout"]["default"] == 5.0
    assert options["durability"]["allowed"] == "'commit' or 'batch' or 'none'"
    assert "busy_timeout" in empty("backends", "sqlite").stdout
    schema = json.loads(empty("backends", "filesystem", "--schema").stdout)
    assert schema["required"] == ["path"] and schema["properties"]["busy_timeout"]["type"] == ["number", "string"]


def test_what_there_is_not(empty):
    assert "did you mean 'sqlite'" in empty.refused(2, "backends", "sqlit")
    registry.register("lacking", "surely_not_installed:Store")
    try:
        assert "install surely_not_installed" in empty.refused(4, "backends", "lacking")
    finally:
        registry.unregister("lacking")
    assert "NAME" in empty.refused(2, "backends", "--schema")
