"""Where a command finds the pipelines: a worker module, a config file, or what the current directory has."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from agora_core.cli.loading import pool_from_module
from agora_core.cli.worker_modules import find_worker_file
from agora_core.registry.plugins import installed
from agora_core.runner.pool import WorkerPool
from agora_core.spec.errors import ConfigError
from agora_core.spec.offers import late

_load_config: Callable[..., Any] = late("agora_core.registry.config:load_config")
_pool_from_config: Callable[..., WorkerPool] = late("agora_core.runner.from_config:pool_from_config")

DEFAULT_CONFIG = Path("pipelines.toml")


def load_pool(module: str | None, config: Path | None) -> WorkerPool:
    """Return the pool of *module* or of *config*; of neither, that of worker.py, else of pipelines.toml."""
    refuse_both(module, config)
    if config is None and module is None and find_worker_file() is None and DEFAULT_CONFIG.is_file():
        config = DEFAULT_CONFIG
    if config is None:
        return pool_from_module(module)
    return _pool_from_config(config=load_project_config(config))


def load_project_config(path: Path) -> Any:
    """Return the config of *path*, checked."""
    return _load_config(path=path, plugins=installed())


def refuse_both(module: str | None, config: Path | None) -> None:
    """Refuse a command that names two places."""
    if module is not None and config is not None:
        raise ConfigError(f"--module {module} and --config {config} were both given; pipelines come from one of them")
