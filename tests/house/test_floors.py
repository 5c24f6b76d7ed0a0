"""Imports and cimports go down the floors, never up, and nothing but the top enters by the front door."""

import pytest

from floors import BY_PLAN, DOORS, TOP, floor, imports, modules

OWN = ("door43fast", "clib")
MODULES = list(modules())
NAMES = {name for name, _ in MODULES} - DOORS


def own_module(target):
    """The module of ours that an imported dotted name means: itself, or the one it is taken from."""
    while target and target not in NAMES and target not in DOORS:
        target = target.rpartition(".")[0]
    return target


def wrong_imports(module, path):
    here = floor(module)
    for target in imports(module, path):
        if target.split(".")[0] not in OWN:
            continue
        found = own_module(target)
        if found in DOORS:
            if module not in DOORS and here < TOP and (module, found) not in BY_PLAN:
                yield f"{module} (floor {here}) imports {target}, a door that hands on every floor"
        elif module not in DOORS and (floor(found) is None or floor(found) > here):
            yield f"{module} (floor {here}) imports {found} (floor {floor(found)})"


@pytest.mark.parametrize(("module", "path"), MODULES, ids=[str(path.name) + ":" + name for name, path in MODULES])
def test_imports_go_down(module, path):
    assert module in DOORS or floor(module) is not None, f"{module} is on no floor: name it in tests/house/floors.py"
    assert list(wrong_imports(module, path)) == []


def test_imports_of_every_form_are_read(tmp_path):
    python = tmp_path / "batch.py"
    python.write_text("import os\ndef f():\n    from . import errors as e\n    from .codecs import resolve\n")
    assert list(imports("door43fast.batch", python)) == ["os", "door43fast.errors", "door43fast.codecs.resolve"]
    native = tmp_path / "core.pyx"
    native.write_text("from clib.lmdb cimport *\ncimport cython\n"
                      "from door43fast.native.memory cimport (Engine,\n    Table as T)\nimport a.b, c\n")
    assert list(imports("door43fast.native.core", native)) == [
        "clib.lmdb.*", "cython", "door43fast.native.memory.Engine", "door43fast.native.memory.Table", "a.b", "c"]


def test_an_import_upwards_is_seen(tmp_path):
    native = tmp_path / "core.pyx"
    native.write_text("from door43fast.native.packed cimport Packed\nfrom door43fast import open\n"
                      "from door43fast.errors import Error\n")
    assert len(list(wrong_imports("door43fast.native.core", native))) == 2
