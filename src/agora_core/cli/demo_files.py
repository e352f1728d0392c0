"""The project that the demo runs: its own little directory, made anew each time."""

import json
import re
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from agora_core.spec.errors import ConfigError

FEED = "usgs_all_week_2018-02-07.geojson"
CONFIG = "pipelines.toml"
MODULE = "earthquakes.py"
WRITTEN = ("earthquakes.db", "earthquakes.jsonl", "strong.jsonl", "felt.jsonl", "dead_letters.db")
"""What the pipelines write, and with a word after it what their databases keep beside them."""

_MARK = "# Written by `agora demo`, which makes this directory anew each time: copy it before you change it.\n"
_CRON_PART = "# On the clock"
_PACKAGE = "agora_core.cli"


def write_project(directory: Path, *, health_port: int, with_cron: bool) -> Path:
    """Write the project into *directory* and return its config; what an earlier demo wrote there is removed."""
    root = directory.resolve()
    try:
        _refuse_foreign(directory)
        root.mkdir(parents=True, exist_ok=True)
        for name in WRITTEN:
            for path in root.glob(f"{name}*"):
                path.unlink()
        (root / FEED).write_bytes(_shipped("feed", FEED).read_bytes())
        (root / MODULE).write_bytes(_shipped("demo_project", MODULE).read_bytes())
        (root / CONFIG).write_text(_config(root, health_port, with_cron=with_cron), encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"the demo cannot write into {str(directory)!r}: {error.strerror}; name another place with --directory"
        ) from error
    return directory / CONFIG


def _refuse_foreign(directory: Path) -> None:
    """Refuse a directory that has something in it and was not made by a demo."""
    if directory.exists() and not directory.is_dir():
        raise ConfigError(f"{str(directory)!r} is no directory; name another place for the demo with --directory")
    if not directory.is_dir() or not any(directory.iterdir()):
        return
    config = directory / CONFIG
    if not (config.is_file() and config.read_bytes().startswith(_MARK.encode())):
        raise ConfigError(
            f"the directory {str(directory)!r} is not empty and not of an earlier demo; name another with --directory"
        )


def _config(root: Path, health_port: int, *, with_cron: bool) -> str:
    """Return the config of the project with whole paths, so that it works from every directory."""
    text = _shipped("demo_project", CONFIG).read_text(encoding="utf-8")
    if not with_cron:
        text = text[: text.index(_CRON_PART)].rstrip() + "\n"
    text = re.sub(r'^path = "(.+)"$', lambda match: f"path = {_quoted(root / match[1])}", text, flags=re.MULTILINE)
    return _MARK + re.sub(r"^health_port = \d+", f"health_port = {health_port}", text, flags=re.MULTILINE)


def _quoted(path: Path) -> str:
    return json.dumps(str(path), ensure_ascii=False)


def _shipped(directory: str, name: str) -> Traversable:
    return files(_PACKAGE).joinpath(directory, name)
