"""`agora run`."""

from collections.abc import Callable
from pathlib import Path

import click

from agora_core.cli.loading import factory_from_module
from agora_core.cli.options import json_option
from agora_core.cli.projects import load_pool
from agora_core.runner.scheduled import ScheduledPipeline
from agora_core.spec.errors import ConfigError, did_you_mean
from agora_core.spec.offers import late

_run_once: Callable[..., None] = late("agora_core.cli.once:run_once")


@click.command
@click.argument("module", required=False)
@click.argument("name", required=False)
@click.option("--config", metavar="F", type=click.Path(path_type=Path), help="A pipelines.toml.")
@click.option("--max-records", type=click.IntRange(min=1), metavar="N", help="Read at most N records.")
@json_option
def run(*, module: str | None, name: str | None, config: Path | None, max_records: int | None, as_json: bool) -> None:
    """Run one pipeline once, now, whatever its schedule, and print what became of its records.

    MODULE is `pkg.mod:factory`, the async function that builds the pipeline, or a worker module (worker.py by
    default); with --config there is no MODULE. NAME is the pipeline's id, where there are several.
    """
    if config is not None:
        if name is not None:
            raise ConfigError(f"with --config give the pipeline's name alone, not {module!r} and {name!r}")
        chosen = _chosen(load_pool(None, config).pipelines, module, str(config))
    elif module is not None and ":" in module:
        if name is not None:
            raise ConfigError(f"{module!r} is one pipeline already; leave {name!r} out")
        chosen = factory_from_module(module)
    else:
        chosen = _chosen(load_pool(module, None).pipelines, name, module or "worker.py")
    _run_once(pipeline=chosen, max_records=max_records, as_json=as_json)


def _chosen(pipelines: tuple[ScheduledPipeline, ...], name: str | None, place: str) -> ScheduledPipeline:
    known = {pipeline.id: pipeline for pipeline in pipelines}
    if name is None:
        if len(known) == 1:
            return next(iter(known.values()))
        raise ConfigError(f"{place} has {len(known)} pipelines; say which: {', '.join(known)}")
    if name not in known:
        raise ConfigError(f"no pipeline {name!r} in {place}; known: {', '.join(known)}{did_you_mean(name, known)}")
    return known[name]
