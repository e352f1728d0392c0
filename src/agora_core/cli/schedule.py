"""`agora schedule`: the commands around schedules."""

import click

from agora_core.cli.late_group import LateGroup

PLACES = {
    "next": "agora_core.cli.schedule_next:next_runs",
    "explain": "agora_core.cli.schedule_explain:explain",
    "simulate": "agora_core.cli.schedule_simulate:simulate_pool",
    "lint": "agora_core.cli.schedule_lint:lint_schedules",
}


@click.group(cls=LateGroup, places=PLACES)
def schedule() -> None:
    """Say when pipelines run and why, what became of their slots, and what would be.

    Pipelines come from get_worker() of worker.py, of another --module, or from a --config; what is kept of them from
    the state of their worker, where there is one. Nothing is run, and nothing is written.
    """
