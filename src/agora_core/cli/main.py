"""The program `agora`: a table of commands, each imported only when it is asked for."""

import gc
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

import click

from agora_core.cli.endings import OWN_PROCESS, ending
from agora_core.cli.late_group import LateGroup, imported

COMMANDS: Mapping[str, tuple[str, str]] = {
    "demo": ("agora_core.cli.demo:demo", "Watch scheduled pipelines work on a real feed of earthquakes."),
    "check": ("agora_core.cli.check:check", "Load everything, say all that is wrong, and start nothing."),
    "run": ("agora_core.cli.run:run", "Run one pipeline once, now."),
    "worker": ("agora_core.cli.worker:worker", "Run all pipelines on their schedules, or list them."),
    "pause": ("agora_core.cli.steering:pause", "Let a pipeline start no further run."),
    "resume": ("agora_core.cli.steering:resume", "Let a paused pipeline go on."),
    "trigger": ("agora_core.cli.steering:trigger", "Have the running worker start a run now."),
    "runs": ("agora_core.cli.runs:runs", "Look at the history of runs."),
    "schedule": ("agora_core.cli.schedule:schedule", "Say when pipelines run and why, and simulate them."),
    "dlq": ("agora_core.cli.dlq:dlq", "Look at dead letters, replay them, discard them."),
    "plugins": ("agora_core.cli.plugins:plugins", "List the plugins, what they offer and what is missing."),
    "version": ("agora_core.cli.version:version", "Print the version."),
}
"""Name to (`module:attribute`, what `agora --help` says), in the order in which they are listed."""

_COMPLETE = "_AGORA_COMPLETE"
"""Set by a shell that wants completions; click answers it and leaves."""

_FAILPOINT = "AGORA_FAILPOINT"
"""Set by tests that crash a process on purpose; a name that is none is refused before anything runs."""

_GC_THRESHOLD = 10_000
"""Objects made before garbage is looked for. What imports make stays: looking among it costs 4 % of a start."""

_PLUGIN_COMMANDS = "agora_core.cli.plugin_commands:find_command"


class Program(LateGroup):
    """The commands of the table, and those that plugins add."""

    def find(self, ctx: click.Context, name: str) -> click.Command:
        """Return the command *name* of a plugin; raise UnknownOfferError, with all that are known, if none is."""
        find: Callable[[str, Sequence[str]], click.Command] = imported(_PLUGIN_COMMANDS)
        return find(name, tuple(COMMANDS))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table of commands without importing one."""
        rows = [(name, summary) for name, (_, summary) in COMMANDS.items()]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def __call__(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Be the program of this process, which may then be ended from within; `main` is for calls from another."""
        gc.set_threshold(_GC_THRESHOLD)
        self.main(*args, obj=OWN_PROCESS, **kwargs)

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> NoReturn:
        """Run the program and leave with its exit code; errors made on purpose are told in one sentence."""
        name = prog_name or "agora"
        if _COMPLETE in os.environ:
            super().main(args, name, complete_var or _COMPLETE, standalone_mode, **extra)
        extra.pop("windows_expand_args", None)

        def command() -> None:
            if os.environ.get(_FAILPOINT):
                imported("agora_core.spec.failpoints:check")()
            with self.make_context(name, list(sys.argv[1:] if args is None else args), **extra) as context:
                self.invoke(context)

        raise SystemExit(ending(command))


@click.group(
    cls=Program,
    places={name: place for name, (place, _) in COMMANDS.items()},
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
def main() -> None:
    """Run ETL pipelines on schedules: nothing lost, nothing hidden, nothing blocked, nothing wasted.

    Exit codes: 0 done, 1 something failed, 2 refused before anything ran, 3 a dead-letter store
    cannot be used, 130 or 143 cut short by a signal. Plugins may add commands.
    """
