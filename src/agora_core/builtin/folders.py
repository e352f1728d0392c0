"""Directories that are still there after a power cut."""

import os
from pathlib import Path


def make_folder(folder: Path) -> None:
    """Make *folder* and those above it that are missing, so that a power cut does not take them away again."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for made in missing:
        sync_folder(made.parent)


def sync_folder(folder: Path) -> None:
    """Return when the names in *folder* are on disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
