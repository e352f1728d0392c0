"""`agora dlq`: the commands around dead letters."""

import click

from agora_core.cli.dlq_discard import discard
from agora_core.cli.dlq_export import export
from agora_core.cli.dlq_import import import_letters
from agora_core.cli.dlq_list import list_letters
from agora_core.cli.dlq_migrate import migrate
from agora_core.cli.dlq_park import park, unpark
from agora_core.cli.dlq_purge import purge
from agora_core.cli.dlq_replay import replay
from agora_core.cli.dlq_show import show
from agora_core.cli.dlq_stats import stats
from agora_core.cli.dlq_verify import verify


@click.group
def dlq() -> None:
    """Look at dead letters, replay them, park, discard, export and move them.

    The stores are those of a --config, of the pipelines of a worker --module, or the file or address of --store;
    by default those of pipelines.toml, else of worker.py, in the current directory.
    """


COMMANDS = (
    list_letters, show, stats, replay, park, unpark, discard, export, import_letters, migrate, verify, purge,
)  # fmt: skip

for command in COMMANDS:
    dlq.add_command(command)
