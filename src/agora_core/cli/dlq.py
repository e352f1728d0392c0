"""`agora dlq`: the commands around dead letters."""

import click

from agora_core.cli.dlq_discard import discard
from agora_core.cli.dlq_list import list_letters
from agora_core.cli.dlq_replay import replay
from agora_core.cli.dlq_show import show
from agora_core.cli.dlq_stats import stats


@click.group
def dlq() -> None:
    """Look at dead letters, replay them, discard them.

    The stores are those of a --config, of the pipelines of a worker --module, or the SQLite file of --store;
    by default those of pipelines.toml, else of worker.py, in the current directory.
    """


for command in (list_letters, show, stats, replay, discard):
    dlq.add_command(command)
