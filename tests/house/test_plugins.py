"""Our own plugins use the public contract of plugins and nothing else of the house."""

import pytest

import door43fast.plugins
from door43fast.plugins.roster import OWN
from floors import imports, modules

FILES = dict(modules())
# The contract, and the stores that a plugin of ours hands out.
CONTRACT = {"door43fast.plugins", "door43fast.config", "door43fast.contracts", "door43fast.errors",
            "door43fast.codecs"}
HANDED_OUT = {"door43fast.plugins.memory": {"door43fast.memory"}, "door43fast.plugins.lmdb": {"door43fast.lmdb"}}


def foreign(module, path, home):
    """What ``module`` imports of the house beyond the contract and its own folder."""
    allowed = CONTRACT | HANDED_OUT.get(module, set())
    for target in imports(module, path):
        if not target.startswith("door43fast") or target.startswith(f"{home}."):
            continue
        package, _, name = target.rpartition(".")
        if package in allowed or target in allowed and target != "door43fast.plugins":
            if package == "door43fast.plugins" and name not in door43fast.plugins.__all__:
                yield target
        else:
            yield target


@pytest.mark.parametrize("home", sorted({target.partition(":")[0] for target in OWN.values()}))
def test_ours_use_the_contract_alone(home):
    own = {name: path for name, path in FILES.items() if name == home or name.startswith(f"{home}.")}
    assert own
    for module, path in own.items():
        assert list(foreign(module, path, home)) == []


def test_what_goes_around_the_contract_is_seen(tmp_path):
    source = tmp_path / "plugin.py"
    source.write_text("from door43fast.plugins import Backend, section\nfrom door43fast.plugins.section import Change\n"
                      "from door43fast.surface import StoreSurface\nimport door43fast.errors\n")
    assert list(foreign("door43fast.plugins.x", source, "door43fast.plugins.x")) == [
        "door43fast.plugins.section", "door43fast.plugins.section.Change", "door43fast.surface.StoreSurface"]
