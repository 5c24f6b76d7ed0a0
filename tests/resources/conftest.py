"""Stores to import into, and the folders and archives to import: real ones where they lie beside the project."""

import os
import tarfile
import zipfile
from pathlib import Path

import pytest

from door43fast.lmdb import LmdbStore

HOME = Path(__file__).parents[2]
REAL = Path(os.environ.get("DOOR43FAST_DATA", HOME.parent / "shared" / "data" / "door43"))
SAMPLE = HOME / "examples" / "rc"


def folders(*parts):
    """The container folders of the real data, else of our own sample."""
    if REAL.is_dir():
        return sorted(folder for part in parts for folder in (REAL / part).iterdir() if folder.is_dir())
    return sorted(folder for folder in SAMPLE.iterdir() if folder.is_dir())


def archives():
    return sorted((REAL / "archives").iterdir()) if REAL.is_dir() else []


def truth(source):
    """Every file of a folder or an archive (less the one folder around it): path to bytes."""
    source = Path(source)
    if source.is_dir():
        return {
            os.fsencode(path.relative_to(source)): path.read_bytes() for path in source.rglob("*") if path.is_file()
        }
    if source.suffix == ".zip":
        with zipfile.ZipFile(source) as archive:
            return {
                os.fsencode(name.partition("/")[2]): archive.read(name)
                for name in archive.namelist()
                if not name.endswith("/")
            }
    with tarfile.open(source) as archive:
        return {
            os.fsencode(member.name.partition("/")[2]): archive.extractfile(member).read()
            for member in archive
            if member.isfile()
        }


@pytest.fixture
def store(tmp_path):
    with LmdbStore(tmp_path / "store", durability="none") as store:
        yield store
