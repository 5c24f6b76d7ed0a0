"""Imports and cimports go down the floors, never up, and nothing but the top enters by the front door."""

import pytest

from floors import DOORS, TOP, floor, imports, modules

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
            if module not in DOORS and here < TOP:
                yield f"{module} (floor {here}) imports {target}, a door that hands on every floor"
        elif module not in DOORS and floor(found) > here:
            yield f"{module} (floor {here}) imports {found} (floor {floor(found)})"


@pytest.mark.parametrize(("module", "path"), MODULES, ids=[str(path.name) + ":" + name for name, path in MODULES])
def test_imports_go_down(module, path):
    assert module in DOORS or floor(module) is not None, f"{module} is on no floor: name it in tests/house/floors.py"
    assert list(wrong_imports(module, path)) == []


def test_an_import_upwards_is_seen(tmp_path):
    python = tmp_path / "memory.py"
    python.write_text("from door43fast import assembly\nfrom .plugins import x\nimport door43fast.errors\n")
    if "door43fast.errors" in NAMES:
        assert len(list(wrong_imports("door43fast.memory", python))) >= 1
    native = tmp_path / "core.pyx"
    native.write_text("from door43fast.contracts import Event\nfrom door43fast.native.memory cimport MemoryEngine\n")
    assert list(imports("door43fast.native.core", native)) == [
        "door43fast.contracts.Event", "door43fast.native.memory.MemoryEngine"]
