"""Run by ``make wheel`` in a fresh environment against the installed wheel: every module is there and answers."""

import importlib
import importlib.metadata
import pathlib
import pkgutil
import sys

import door43fast
import door43fast.native

package = pathlib.Path(door43fast.__file__).parent
assert "site-packages" in package.parts, f"this is not the installed wheel: {package}"
assert (package / "py.typed").is_file(), "the wheel lacks py.typed"

native = sorted(module.name for module in pkgutil.iter_modules(door43fast.native.__path__))
for name in native:
    importlib.import_module(f"door43fast.native.{name}")
    assert (package / "native" / f"{name}.pyi").is_file(), f"the wheel lacks native/{name}.pyi"
assert {"clock", "core"} <= set(native), native

version = importlib.metadata.version("door43fast")
print(f"door43fast {version} on Python {sys.version.split()[0]}: {len(native)} native modules answer")
