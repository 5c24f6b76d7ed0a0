"""What the doctor warns of."""

from door43fast.cli import machine


def test_warnings_name_what_to_do():
    about = {
        "native": {"memory": "missing: x", "lmdb": "loaded"},
        "disk": {"file_system": "nfs4", "directory": "/d", "writable": False, "free": 5},
        "system": {"address_space_limit": 1 << 30},
        "packages": {"PyYAML": None},
    }
    text = "\n".join(machine.warnings(about))
    for words in ("lacks memory", "nfs4", "cannot be written", "are free", "ulimit", "door43fast[door43]"):
        assert words in text
    about = {
        "native": {"lmdb": "loaded"},
        "system": {"address_space_limit": None},
        "packages": {"PyYAML": "6"},
        "disk": {"file_system": "ext4", "directory": "/d", "writable": True, "free": 1 << 40},
    }
    assert machine.warnings(about) == []
