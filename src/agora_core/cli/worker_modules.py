"""Finds the module of a worker, in the current directory first, and imports it."""

import sys
from collections.abc import Iterator
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

from agora_core.cli.user_code import users_code
from agora_core.registry.explain import shown
from agora_core.spec.errors import ConfigError, did_you_mean

EXAMPLE = """\
    # worker.py
    from agora.runner import WorkerPool, ScheduledPipeline, Schedule
    from my_pipelines import build_pipeline

    def get_worker() -> WorkerPool:
        pool = WorkerPool(health_port=8080)
        pool.register(ScheduledPipeline(
            factory=build_pipeline, schedule=Schedule.every(hours=6), pipeline_id="ingest",
        ))
        return pool"""


def load_module(name: str | None, *, what: str = "the worker module") -> ModuleType:
    """Import the module *name* with the current directory, and its src/, before everything else.

    Errors call it *what* it is.
    """
    here = Path.cwd()
    _importable_from(here, here / "src")
    if name is None:
        return _from_file(default_worker(), "worker", what)
    if name.endswith(".py") or "/" in name:
        return _from_file(_existing_file(name, what), Path(name).stem, what)
    return _from_name(name, what)


def find_worker_file() -> Path | None:
    """Return worker.py of the current directory, else of its src/, where there is one."""
    return next((path for path in (Path("worker.py"), Path("src/worker.py")) if path.is_file()), None)


def default_worker() -> Path:
    """Return worker.py of the current directory or its src/, or say what to write into it."""
    found = find_worker_file()
    if found is None:
        raise ConfigError(
            f"no worker.py in {Path.cwd()} or its src/; name another with --module or --config, or write:\n{EXAMPLE}"
        )
    return found


def _existing_file(name: str, what: str) -> Path:
    path = Path(name)
    if not path.is_file():
        problem = "it is a directory" if path.is_dir() else "no such file"
        raise ConfigError(f"cannot load {what} {name!r}: {problem}")
    return path


def _importable_from(*directories: Path) -> None:
    for directory in reversed(directories):
        if directory.is_dir() and str(directory) not in sys.path:
            sys.path.insert(0, str(directory))


def _from_file(path: Path, name: str, what: str) -> ModuleType:
    """Import exactly this file, whatever else is called like it."""
    _importable_from(path.resolve().parent)
    known_as = name if name == "worker" or name not in sys.modules else f"agora_worker_{name}"
    spec = spec_from_file_location(known_as, path.resolve())
    if spec is None or spec.loader is None:
        raise ConfigError(f"cannot load {what} {str(path)!r}: it is no Python file")
    module = module_from_spec(spec)
    sys.modules[known_as] = module
    with users_code(f"while {shown(path)} is imported"):
        spec.loader.exec_module(module)
    return module


def _from_name(name: str, what: str) -> ModuleType:
    with users_code(f"while {name} is imported"):
        try:
            return import_module(name)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{name}.".startswith(f"{error.name}."):
                raise
            missing = error.name
    hint = f"; a config is given as --config {name}" if name.endswith(".toml") else did_you_mean(name, _modules_here())
    raise ConfigError(
        f"no module named {missing!r} for {what} {name!r}; it is looked for in {Path.cwd()}, its src/ and "
        f"the installed packages{hint}"
    )


def _modules_here() -> Iterator[str]:
    """Yield the modules of the current directory, two levels deep, for a hint."""
    for root in (Path(), Path("src")):
        for path in (*root.glob("*.py"), *root.glob("*/*.py")):
            yield ".".join(path.relative_to(root).with_suffix("").parts)
