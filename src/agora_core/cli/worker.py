"""`agora worker`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from agora_core.cli.json_output import say_json
from agora_core.cli.options import json_option, project_options, state_option
from agora_core.cli.pipelines_listing import pipelines_as_json, say_pipelines
from agora_core.cli.plugins_listing import plugins_as_json, say_plugins
from agora_core.cli.printing import say
from agora_core.cli.projects import load_pool
from agora_core.registry.plugins import installed
from agora_core.runner.pool import WorkerPool
from agora_core.spec.errors import ConfigError
from agora_core.spec.offers import late

_state_of: Callable[..., Any] = late("agora_core.cli.states:state_of")
_serve: Callable[..., None] = late("agora_core.cli.serving:serve")


@click.command
@project_options
@click.option("--list", "listing", is_flag=True, help="List the pipelines and the plugins, and start nothing.")
@json_option
@click.option("--health-port", type=int, metavar="N", help="Port of the health server; 0 picks one.")
@click.option("--health-host", metavar="HOST", help="Address of the health server.")
@click.option(
    "--engine",
    envvar="AGORA_ENGINE",
    show_envvar=True,
    metavar="NAME",
    help="What runs the pipelines; `asyncio`, this process, by default.",
)
@state_option
@click.option(
    "--standby", is_flag=True, help="Where another worker runs on the same state, wait for its end, and take over."
)
@click.option(
    "--log-format",
    type=click.Choice(["auto", "console", "json"]),
    default="auto",
    show_default=True,
    help="auto is console on a terminal and json elsewhere.",
)
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"], case_sensitive=False),
    default="info",
    show_default=True,
)
def worker(
    *,
    module: str | None,
    config: Path | None,
    listing: bool,
    as_json: bool,
    health_port: int | None,
    health_host: str | None,
    engine: str | None,
    state: str | None,
    standby: bool,
    log_format: str,
    log_level: str,
) -> None:
    """Run all pipelines on their schedules until they are done, or SIGINT or SIGTERM stops them.

    They come from get_worker() of worker.py in the current directory or its src/, of another --module, or from
    a --config.
    """
    if as_json and not listing:
        raise ConfigError("--json is for --list; for a log in JSON write --log-format json")
    pool = load_pool(module, config)
    if listing:
        _list(pool, as_json=as_json)
        return
    given = {"health_port": health_port, "health_host": health_host, "engine": engine}
    pool.override(**{name: value for name, value in given.items() if value is not None})
    pool.override(state=_state_of(pool=pool, named=state), standby=standby or pool.settings.standby)
    _serve(pool=pool, style=log_format, level=log_level)


def _list(pool: WorkerPool, *, as_json: bool) -> None:
    plugins = installed()
    if as_json:
        say_json({"pipelines": pipelines_as_json(pool.pipelines, plugins), **plugins_as_json(plugins)})
        return
    say_pipelines(pool.pipelines, plugins)
    say()
    say_plugins(plugins)
