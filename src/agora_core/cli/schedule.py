"""`agora schedule`: the commands around schedules."""

import click

from agora_core.cli.schedule_explain import explain
from agora_core.cli.schedule_lint import lint_schedules
from agora_core.cli.schedule_next import next_runs
from agora_core.cli.schedule_simulate import simulate_pool


@click.group
def schedule() -> None:
    """Say when pipelines run and why, what became of their slots, and what would be.

    Pipelines come from get_worker() of worker.py, of another --module, or from a --config; what is kept of them from
    the state of their worker, where there is one. Nothing is run, and nothing is written.
    """


COMMANDS = (next_runs, explain, simulate_pool, lint_schedules)

for command in COMMANDS:
    schedule.add_command(command)
