"""The options that the commands around dead letters share: where the stores are, and which letters."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from agora_core.cli.dlq_selection import Selection
from agora_core.cli.letter_conditions import Condition, parsed
from agora_core.cli.options import AT_MOST, Moment, project_options
from agora_core.spec.errors import ConfigError
from agora_core.spec.letters import LetterQuery, LetterState

Command = TypeVar("Command", bound=Callable[..., Any])


class Comparison(click.ParamType):  # type: ignore[type-arg]  # click took no argument here before 8.4
    """A comparison of a field of a letter: `record.mag >= 4.5`, `error.message contains "timeout"`."""

    name = "expr"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Condition:
        """Return the comparison, checked."""
        if isinstance(value, Condition):
            return value
        try:
            return parsed(value)
        except ConfigError as error:
            self.fail(str(error))


_FILTERS = (
    click.option("--id", "ids", type=click.IntRange(min=1), multiple=True, metavar="N", help="Letter N; repeatable."),
    click.option("--pipeline", metavar="ID", help="Letters of this pipeline."),
    click.option("--stage", metavar="S", help="Letters of this stage: source_record, middleware:NAME or sink_write."),
    click.option("--run", metavar="ID", help="Letters of this run."),
    click.option("--error-type", metavar="T", help="Letters whose first error had this type, such as KeyError."),
    click.option("--since", type=Moment(), help="Letters that first failed then or later: 2018-02-07, 2h, 7d."),
    click.option("--until", type=Moment(), help="Letters that first failed before then."),
    click.option(
        "--where",
        "conditions",
        type=Comparison(),
        multiple=True,
        metavar="EXPR",
        help="Letters that meet it, such as 'record.mag >= 4.5' or 'error.message contains \"timeout\"'; repeatable: "
        "all must hold.",
    ),
)

state_option = click.option(
    "--state",
    type=click.Choice([*(state.value for state in LetterState), "all"]),
    default=LetterState.DEAD.value,
    show_default=True,
    help="Letters in this state.",
)
yes_option = click.option("--yes", is_flag=True, help="Do not ask.")
limit_option = click.option("--limit", type=AT_MOST, metavar="N", help="At most N letters.")
newest_option = click.option("--newest", is_flag=True, help="The newest first; without it the oldest.")


def all_option(words: str) -> Callable[[Command], Command]:
    """Return the option `--all`, explained by *words*."""
    return click.option("--all", "everything", is_flag=True, help=words)


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """Where the user says that the stores are."""

    module: str | None
    config: Path | None
    store: str | None

    def __post_init__(self) -> None:
        if sum(place is not None for place in (self.module, self.config, self.store)) > 1:
            raise ConfigError("give one of --config, --module and --store: letters come from one place")


def place_options(command: Command) -> Command:
    """Add `--config`, `--module` and `--store`."""
    store = click.option("--store", metavar="PLACE", help="A dead-letter file, an address, or env:NAME.")
    return project_options(store(command))


def filter_options(command: Command) -> Command:
    """Add the options that say which letters."""
    for option in reversed(_FILTERS):
        command = option(command)
    return command


def where_of(options: Mapping[str, Any]) -> Where:
    """Return the place that the *options* of a command name."""
    return Where(module=options["module"], config=options["config"], store=options["store"])


def selection_of(options: Mapping[str, Any], states: Sequence[LetterState] = (LetterState.DEAD,)) -> Selection:
    """Return the filters among the *options* of a command, over letters in *states*."""
    return Selection(query=_query_of(options, states), conditions=options["conditions"])


def _query_of(options: Mapping[str, Any], states: Sequence[LetterState]) -> LetterQuery:
    since: datetime | None = options["since"]
    return LetterQuery(
        ids=options["ids"],
        pipeline_id=options["pipeline"],
        run_id=options["run"],
        stage=options["stage"],
        error_type=options["error_type"],
        since=since,
        until=options["until"],
        states=states,
    )


def states_of(name: str) -> Sequence[LetterState]:
    """Return the states that `--state` names."""
    return tuple(LetterState) if name == "all" else (LetterState(name),)
