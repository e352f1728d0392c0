"""`agora dlq`: the commands around dead letters."""

import click

from agora_core.cli.late_group import LateGroup

PLACES = {
    "list": "agora_core.cli.dlq_list:list_letters",
    "show": "agora_core.cli.dlq_show:show",
    "stats": "agora_core.cli.dlq_stats:stats",
    "replay": "agora_core.cli.dlq_replay:replay",
    "park": "agora_core.cli.dlq_park:park",
    "unpark": "agora_core.cli.dlq_park:unpark",
    "discard": "agora_core.cli.dlq_discard:discard",
    "export": "agora_core.cli.dlq_export:export",
    "import": "agora_core.cli.dlq_import:import_letters",
    "migrate": "agora_core.cli.dlq_migrate:migrate",
    "verify": "agora_core.cli.dlq_verify:verify",
    "purge": "agora_core.cli.dlq_purge:purge",
}


@click.group(cls=LateGroup, places=PLACES)
def dlq() -> None:
    """Look at dead letters, replay them, park, discard, export and move them.

    The stores are those of a --config, of the pipelines of a worker --module, or the file or address of --store;
    by default those of pipelines.toml, else of worker.py, in the current directory.
    """
