"""What the host is found to be: by the kernel's files, laid out in a folder as they are on awkward machines."""

import os
import sys
from pathlib import Path

import pytest

from door43fast.errors import ConfigError
from door43fast.host import detect, kernel, memory_granted, probe

UNLIMITED = str(0x7FFFFFFFFFFFF000)


@pytest.fixture
def root(tmp_path):
    """Lays out files as the kernel shows them; gives the folder that stands for "/"."""
    def lay(files):
        for name, text in files.items():
            path = tmp_path / "root" / name.lstrip("/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return str(tmp_path / "root")
    return lay


V2 = {"/sys/fs/cgroup/cgroup.controllers": "cpu memory"}


@pytest.mark.parametrize(("files", "limit"), [
    ({}, None),
    ({"/proc/self/cgroup": "0::/\n", **V2, "/sys/fs/cgroup/memory.max": "max\n"}, None),
    ({"/proc/self/cgroup": "0::/\n", **V2, "/sys/fs/cgroup/memory.max": "1073741824\n"}, 1 << 30),
    ({"/proc/self/cgroup": "0::/a/b", **V2, "/sys/fs/cgroup/a/memory.max": "1000",
      "/sys/fs/cgroup/a/b/memory.max": "max"}, 1000),
    ({"/proc/self/cgroup": "0::/a/b", **V2, "/sys/fs/cgroup/a/memory.max": "1000",
      "/sys/fs/cgroup/a/b/memory.max": "900"}, 900),
    ({"/proc/self/cgroup": "0::/docker/not/to/be/seen", **V2, "/sys/fs/cgroup/memory.max": "5000"}, 5000),
    ({"/proc/self/cgroup": "5:cpu:/\n4:memory,x:/d", "/sys/fs/cgroup/memory/d/memory.limit_in_bytes": "77"}, 77),
    ({"/proc/self/cgroup": "4:memory:/d/e", "/sys/fs/cgroup/memory/d/memory.limit_in_bytes": "77",
      "/sys/fs/cgroup/memory/memory.limit_in_bytes": UNLIMITED}, 77),
    ({"/proc/self/cgroup": "4:memory:/", "/sys/fs/cgroup/memory/memory.limit_in_bytes": UNLIMITED}, None),
    # version 2 beside version 1, and controllers mounted elsewhere
    ({"/proc/self/cgroup": "1:name=systemd:/\n0::/x", "/sys/fs/cgroup/unified/x/memory.max": "123",
      "/proc/self/mountinfo": "1 0 0:1 / /sys/fs/cgroup/unified rw - cgroup2 none rw"}, 123),
    ({"/proc/self/cgroup": "4:memory:/x", "/groups/mem/x/memory.limit_in_bytes": "321",
      "/proc/self/mountinfo": "1 0 0:1 / /groups/cpu rw - cgroup none rw,cpu\n"
                              "2 0 0:1 / /groups/mem rw - cgroup none rw,memory"}, 321),
    ({"/proc/self/cgroup": "nonsense\n\n0::/", **V2, "/sys/fs/cgroup/memory.max": "7"}, 7),
])
def test_memory_limit(root, files, limit):
    assert kernel.memory_limit(root(files)) == limit


@pytest.mark.parametrize(("files", "quota"), [
    ({}, None),
    ({"/proc/self/cgroup": "0::/", **V2, "/sys/fs/cgroup/cpu.max": "max 100000"}, None),
    ({"/proc/self/cgroup": "0::/a", **V2, "/sys/fs/cgroup/a/cpu.max": "150000 100000",
      "/sys/fs/cgroup/cpu.max": "max 100000"}, 1.5),
    ({"/proc/self/cgroup": "0::/a", **V2, "/sys/fs/cgroup/a/cpu.max": "400000 100000",
      "/sys/fs/cgroup/cpu.max": "50000 100000"}, 0.5),
    ({"/proc/self/cgroup": "3:cpu,cpuacct:/d", "/sys/fs/cgroup/cpu/d/cpu.cfs_quota_us": "200000",
      "/sys/fs/cgroup/cpu/d/cpu.cfs_period_us": "100000"}, 2.0),
    ({"/proc/self/cgroup": "3:cpu:/", "/sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1",
      "/sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000"}, None),
])
def test_cpu_quota(root, files, quota):
    assert kernel.cpu_quota(root(files)) == quota


def test_a_process_that_may_use_less_than_there_is(root, tmp_path):
    place = root({"/proc/self/cgroup": "0::/", **V2, "/sys/fs/cgroup/memory.max": "104857600",
                  "/sys/fs/cgroup/cpu.max": "20000 100000"})
    found = detect(tmp_path, root=place, environ={})
    assert found.memory == found.memory_limit == 100 << 20 < found.memory_total
    assert found.cpu_quota == 0.2 and found.cpus == 1 <= found.cpu_count
    assert memory_granted(root=place, environ={}) == 100 << 20


@pytest.mark.parametrize(("kind", "disk"), [("ext4", "local"), ("nfs4", "remote"), ("fuse.sshfs", "remote"),
                                            ("tmpfs", "volatile"), ("overlay", "local")])
def test_the_disk_is_that_of_the_deepest_mount(root, tmp_path, kind, disk):
    below = os.path.realpath(tmp_path)
    place = root({"/proc/self/mountinfo": "\n".join([
        "1 0 8:1 / / rw - xfs /dev/a rw",
        f"2 1 8:2 / {Path(below).parent} rw shared:1 - squashfs none rw",
        f"3 1 8:3 / {below} rw,noatime shared:1 master:2 - {kind} server:/x rw",
        f"4 1 8:4 / {below}x rw - ramfs none rw", "5 1 broken", ""])})
    found = detect(tmp_path / "not" / "yet", root=place, environ={})
    assert (found.file_system, found.disk, found.mounted_at, found.path) == (kind, disk, below, below)
    assert found.writable and 0 < found.disk_free < found.disk_total


def test_a_mount_with_a_blank_in_its_name(root):
    mounted = kernel.mounts(root({"/proc/self/mountinfo": "1 0 8:1 / /a\\040b rw - ext4 /dev/a rw"}))
    assert kernel.kind_of("/a b/c", mounted) == ("ext4", "/a b") and kernel.kind_of("/a", mounted) == (None, None)


def test_this_machine():
    found = detect()
    assert found.python == ".".join(map(str, sys.version_info[:3])) and found.bits == 64 and found.sqlite
    assert 1 <= found.cpus <= found.cpu_count and found.memory == memory_granted() <= found.memory_total
    assert found.libraries["msgspec"] and found.native == {"memory": True, "lmdb": True}
    assert found == detect()._replace(disk_free=found.disk_free)


def test_optional_libraries_are_found_without_importing(tmp_path):
    import subprocess
    code = ("import sys; from door43fast.host import detect; found = detect(); "
            "print(found.libraries['numpy'], 'numpy' in sys.modules, 'sqlite3' in sys.modules, "
            "'door43fast.native.lmdb' in sys.modules, found.native['lmdb'])")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["True", "False", "False", "False", "True"], done.stderr


def test_overrides(tmp_path):
    given = {"DOOR43FAST_HOST_CPUS": "3", "DOOR43FAST_HOST_MEMORY": "512MB", "DOOR43FAST_HOST_DISK_FREE": "1GB",
             "DOOR43FAST_HOST_DISK": "volatile", "DOOR43FAST_OTHER": "x"}
    found = detect(tmp_path, environ=given)
    assert (found.cpus, found.memory, found.disk_free, found.disk) == (3, 512 << 20, 1 << 30, "volatile")
    assert found.overridden == ("cpus", "disk", "disk_free", "memory")
    assert memory_granted(environ=given) == 512 << 20


@pytest.mark.parametrize(("name", "value", "words"), [
    ("CPUS", "0", "number of processors"), ("CPUS", "two", "number of processors"), ("MEMORY", "much", "size"),
    ("MEMORY", "0", "no memory"), ("DISK", "remot", "did you mean 'remote'"), ("DISK_FREE", "-1", "size"),
    ("MEMROY", "1GB", "did you mean 'DOOR43FAST_HOST_MEMORY'"), ("CPUS", "", "number"), ("CPUS", "²", "number")])
def test_what_the_environment_cannot_mean_is_refused_aloud(name, value, words):
    for ask in (lambda environ: detect(environ=environ), lambda environ: memory_granted(environ=environ)):
        with pytest.raises(ConfigError, match=words) as error:
            ask({f"DOOR43FAST_HOST_{name}": value})
        assert f"DOOR43FAST_HOST_{name}" in str(error.value)


def test_open_goes_by_the_environment(tmp_path, monkeypatch):
    import door43fast as d43
    monkeypatch.setenv("DOOR43FAST_HOST_MEMORY", "80MB")
    with d43.open(tmp_path / "s") as store:
        assert store.stats()["layers"][0]["max_bytes"] == 10 << 20
    monkeypatch.setenv("DOOR43FAST_HOST_MEMORY", "lots")
    with pytest.raises(ConfigError, match="DOOR43FAST_HOST_MEMORY"):
        d43.open(tmp_path / "t")


def test_probe_measures_and_leaves_nothing(tmp_path):
    found = probe(tmp_path / "not" / "yet", seconds=0.02)
    assert found.path == os.path.realpath(tmp_path) and found.samples >= 1
    assert 0 < found.write <= found.sync and found.read > 0
    assert list(tmp_path.iterdir()) == []


def test_probe_stops_in_time_and_at_the_most(tmp_path):
    ticks = iter(range(0, 10**12, 1000))
    assert probe(tmp_path, seconds=1, now=lambda: next(ticks)).samples == 64
    ticks = iter(range(0, 10**15, 10**9))
    assert probe(tmp_path, seconds=1, now=lambda: next(ticks)).samples == 1


def test_probe_cleans_up_after_a_failure(tmp_path):
    def broken():
        if list(tmp_path.iterdir()):
            raise OSError(28, "no space left")
        return 0
    with pytest.raises(OSError, match="no space left"):
        probe(tmp_path, now=broken)
    assert list(tmp_path.iterdir()) == []
