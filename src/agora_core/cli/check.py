"""`agora check`."""

from collections.abc import Callable
from pathlib import Path

import click

from agora_core.cli.endings import REFUSED, Ended
from agora_core.cli.json_output import say_json
from agora_core.cli.options import json_option, project_options
from agora_core.cli.printing import complain, counted, say
from agora_core.cli.projects import load_pool
from agora_core.registry.plugins import installed
from agora_core.spec.offers import late

_problems_of: Callable[..., list[str]] = late("agora_core.cli.checking:problems_of")


@click.command
@project_options
@json_option
def check(*, module: str | None, config: Path | None, as_json: bool) -> None:
    """Load all pipelines and build them, say everything that is wrong, and start nothing.

    The factories are called, and what they return is not run; the stores of their dead letters are opened. Plugins
    that are missing count where a pipeline needs them.
    """
    pool = load_pool(module, config)
    problems = _problems_of(pool=pool, plugins=installed())
    if as_json:
        say_json(problems)
    else:
        for problem in problems:
            complain(f"agora: {problem}")
        if not problems:
            say(f"{counted(len(pool.pipelines), 'pipeline')} checked, no problem found")
    if problems:
        raise Ended(REFUSED)
