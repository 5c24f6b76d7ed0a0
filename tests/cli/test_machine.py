"""What the doctor reads from the kernel, from files that say the awkward things."""

import pytest

from door43fast.cli import machine


def kernel(monkeypatch, files):
    monkeypatch.setattr(machine, "_lines", lambda path: files.get(path, "").splitlines())


@pytest.mark.parametrize(
    ("files", "limit"),
    [
        ({}, None),
        ({"/proc/self/cgroup": "0::/", "/sys/fs/cgroup/memory.max": "max"}, None),
        ({"/proc/self/cgroup": "0::/", "/sys/fs/cgroup/memory.max": "1073741824"}, 1 << 30),
        (
            {
                "/proc/self/cgroup": "0::/a/b",
                "/sys/fs/cgroup/a/memory.max": "1000",
                "/sys/fs/cgroup/a/b/memory.max": "max",
            },
            1000,
        ),
        ({"/proc/self/cgroup": "5:cpu:/\n4:memory,x:/d", "/sys/fs/cgroup/memory/d/memory.limit_in_bytes": "77"}, 77),
        (
            {"/proc/self/cgroup": "4:memory:/", "/sys/fs/cgroup/memory/memory.limit_in_bytes": str(0x7FFFFFFFFFFFF000)},
            None,
        ),
    ],
)
def test_cgroup_limit(monkeypatch, files, limit):
    kernel(monkeypatch, files)
    assert machine.cgroup_limit() == limit


def test_file_system_is_that_of_the_deepest_mount(monkeypatch, tmp_path):
    below = str(tmp_path)
    kernel(
        monkeypatch,
        {
            "/proc/self/mountinfo": "\n".join(
                [
                    "1 0 8:1 / / rw - ext4 /dev/a rw",
                    f"2 1 8:2 / {tmp_path.parent} rw shared:1 - nfs4 server:/x rw",
                    f"3 1 8:3 / {below}x rw - tmpfs none rw",
                ]
            )
        },
    )
    found = machine.disk(str(tmp_path / "not" / "yet"))
    assert (found["file_system"], found["directory"]) == ("nfs4", below)


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
