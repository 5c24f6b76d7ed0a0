"""What the demo imports: real data where there is some, else our own small sample."""

from __future__ import annotations

import os

from door43fast.errors import SourceError

# Enough to be real and little enough to be done in seconds: a whole literal text and its notes, and what links to them.
PARTS = (
    "archives/en_ult_v83.zip",
    "archives/en_tn_v84.zip",
    "rc/el-x-koine_ugnt",
    "rc/hbo_uhb",
    "rc/en_tq",
    "rc/en_twl",
    "rc/en_tw",
    "rc/hi_irv",
)
BESIDE = os.path.join("..", "shared", "data", "door43")


def own() -> str | None:
    """Our own sample: in a source tree, ``examples/rc`` beside the package or below the current directory."""
    tree = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    for folder in (os.path.join("examples", "rc"), os.path.join(tree, "examples", "rc")):
        if os.path.isdir(folder):
            return folder
    return None


def sources(data: str | None) -> list[str]:
    """The sources to import: from ``data`` if given, else from the shared data beside the project, else our own.

    A folder with the known parts gives these; any other folder or archive is imported as it is.
    """
    folder = data or (BESIDE if os.path.isdir(BESIDE) else None)
    if folder is not None:
        known = [path for part in PARTS if os.path.exists(path := os.path.join(folder, part))]
        return known or [folder]
    sample = own()
    if sample is None:
        raise SourceError("there is no data to show: name a folder or an archive of Door43 resources with --data")
    return [sample]
