"""What the store asks of PostgreSQL. A lease that is over makes its letter dead again, without anyone writing it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta

from agora.plugins import LETTER_COLUMNS, LetterQuery, LetterState, microseconds
from agora_plugins.postgres_rows import storable

_LARGEST = (1 << 63) - 1
_SERVER_TIME = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"


@dataclass(slots=True)
class Statement:
    """SQL that grows with its parameters; *now* is a moment of the store's own clock, or None for the server's."""

    table: str
    now: int | None = None
    parameters: list[object] = field(default_factory=list)

    def bind(self, value: object, cast: str) -> str:
        """Return the place of *value*, which never becomes part of the SQL."""
        self.parameters.append(value)
        return f"${len(self.parameters)}::{cast}"

    def numbers(self, ids: Iterable[int]) -> str:
        """Return the place of *ids*, without those that no row can have."""
        return self.bind([number for number in ids if number <= _LARGEST], "bigint[]")

    def moment(self) -> str:
        """Return the SQL for this moment."""
        return _SERVER_TIME if self.now is None else self.bind(self.now, "bigint")

    def until(self, lasting: timedelta) -> str:
        """Return the SQL for the end of a span that begins now; no lease is longer than a hundred years."""
        span = min(lasting, timedelta(days=36500)) // timedelta(microseconds=1)
        return f"{self.moment()} + {self.bind(span, 'bigint')}"

    def columns(self) -> str:
        """Return what is read of a row, its state as it is now."""
        others = ", ".join(column for column in LETTER_COLUMNS if column != "state")
        return f"{others}, {self.state()} AS state"

    def state(self) -> str:
        """Return the SQL for a letter's state as it is now."""
        return f"CASE WHEN state = 'leased' AND lease_until <= {self.moment()} THEN 'dead' ELSE state END"

    def where(self, query: LetterQuery, *, after_id: int = 0) -> str:
        """Return the condition that *query* is."""
        return " AND ".join(self._conditions(query, after_id)) or "TRUE"

    def _conditions(self, query: LetterQuery, after_id: int) -> Iterator[str]:
        if query.ids:
            yield f"id = ANY({self.numbers(query.ids)})"
        for name in ("pipeline_id", "run_id", "stage", "error_type"):
            wanted = getattr(query, name)
            if wanted is not None:
                yield f"{name} = {self.bind(storable(wanted), 'text')}"
        if query.since is not None:
            yield f"first_failed_at >= {self.bind(microseconds(query.since), 'bigint')}"
        if query.until is not None:
            yield f"first_failed_at < {self.bind(microseconds(query.until), 'bigint')}"
        if query.resolved_before is not None:
            yield f"resolved_at < {self.bind(microseconds(query.resolved_before), 'bigint')}"
        if query.up_to_id is not None:
            yield f"id <= {self.bind(min(query.up_to_id, _LARGEST), 'bigint')}"
        if after_id:
            yield f"id > {self.bind(min(after_id, _LARGEST), 'bigint')}"
        if query.states and set(query.states) != set(LetterState):
            yield f"({' OR '.join(self._states(set(query.states)))})"

    def _states(self, states: set[LetterState]) -> Iterator[str]:
        settled = sorted(states - {LetterState.LEASED})
        if settled:
            yield f"state = ANY({self.bind([state.value for state in settled], 'text[]')})"
        if LetterState.DEAD in states:
            yield f"(state = 'leased' AND lease_until <= {self.moment()})"
        if LetterState.LEASED in states:
            yield f"(state = 'leased' AND lease_until > {self.moment()})"
