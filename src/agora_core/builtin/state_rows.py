"""What state stores keep as rows: a value as JSON with its checksum, and back; shared by all durable stores."""

import json
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import NamedTuple, TypeAlias, TypeVar
from zlib import crc32

import msgspec

from agora_core.codec.records import decode_record, encode_record
from agora_core.spec.decisions import CaughtUp, Decision, Delayed, NotRetried, Skipped
from agora_core.spec.errors import StoreError
from agora_core.spec.letters import Fidelity
from agora_core.spec.records import Position
from agora_core.spec.runs import Run
from agora_core.spec.state import ControlRequest, PipelineMemory, WorkerClaim

StateValue: TypeAlias = PipelineMemory | Run | Decision | ControlRequest | WorkerClaim
T = TypeVar("T", PipelineMemory, Run, ControlRequest, WorkerClaim)
V = TypeVar("V")

_DECISIONS: dict[object, type[Decision]] = {kind.kind: kind for kind in (Skipped, CaughtUp, Delayed, NotRetried)}

log = logging.getLogger("agora.builtin")


class StateRow(NamedTuple):
    """A value as it is kept: JSON in ASCII, and its CRC-32, without which a flipped bit would lie silently."""

    payload: bytes
    crc: int


def encode_state(value: StateValue) -> StateRow:
    """Return *value* as a row; raise `StoreError` when it is none of these."""
    if not isinstance(value, StateValue):
        raise StoreError(f"a state store keeps memories, runs, decisions and requests, not {value!r:.200}")
    try:
        tree = msgspec.to_builtins(value, builtin_types=(datetime,), enc_hook=_plain)
        if isinstance(value, Decision):
            tree["kind"] = value.kind
        # In ASCII, since there lone surrogates and NUL have escapes too: every text comes back as it was.
        payload = json.dumps(tree, ensure_ascii=True, separators=(",", ":"), default=_moment).encode("ascii")
    except (TypeError, ValueError, OverflowError, msgspec.MsgspecError) as exc:
        raise StoreError(f"a {type(value).__name__} cannot be kept: {exc}") from exc
    return StateRow(payload, crc32(payload))


def decode_state(row: StateRow, kind: type[T]) -> T:
    """Return the value of this *kind* that `encode_state` made *row* of; raise `ValueError` with what is wrong."""
    return _converted(_tree(row), kind)


def decode_decision(row: StateRow) -> Decision:
    """Return the decision that `encode_state` made *row* of; raise `ValueError` with what is wrong."""
    tree = _tree(row)
    kind = _DECISIONS.get(str(tree.get("kind"))) if isinstance(tree, dict) else None
    if kind is None:
        raise ValueError("it is no decision that this version knows")
    decision: Decision = _converted(tree, kind)
    return decision


def encode_position(store: str, pipeline_id: str, position: Position) -> StateRow:
    """Return a source's *position* as a row; raise `StoreError`, which names the *store*, when it has no exact JSON."""
    kept = encode_record(position)
    if kept.fidelity is not Fidelity.EXACT:
        raise StoreError(
            f"{store} cannot keep the position of pipeline {pipeline_id!r}: "
            f"{kept.type} is not a JSON value (number, text, list, dict)"
        )
    return StateRow(kept.payload, crc32(kept.payload))


class StateReader:
    """Makes values of rows, for the *store* that errors name: what the next run depends on must be whole."""

    def __init__(self, store: str) -> None:
        self._store = store
        self._told: set[tuple[str, object]] = set()

    def position(self, pipeline_id: str, row: StateRow, *, remedy: str) -> Position:
        """Return a source's position; raise `StoreError` with the *remedy* when it is damaged."""
        try:
            return decode_record(_whole(row))
        except ValueError as exc:
            raise StoreError(
                f"{self._store} has a damaged checkpoint of pipeline {pipeline_id!r}: {exc}; {remedy} to read the "
                "source from its start"
            ) from exc

    def memory(self, pipeline_id: str, row: StateRow, *, remedy: str) -> PipelineMemory:
        """Return what is kept of a pipeline; raise `StoreError` with the *remedy* when it is damaged."""
        try:
            return decode_state(row, PipelineMemory)
        except ValueError as exc:
            raise StoreError(
                f"{self._store} has a damaged memory of pipeline {pipeline_id!r}: {exc}; {remedy} to have the pipeline "
                "begin anew, without its missed slots"
            ) from exc

    def runs(self, rows: Iterable[tuple[object, StateRow]]) -> list[Run]:
        """Return the runs in *rows*, each with its key; a damaged one is left out, and told in the log."""
        return self._all("run", rows, lambda row: decode_state(row, Run))

    def decisions(self, rows: Iterable[tuple[object, StateRow]]) -> list[Decision]:
        """Return the decisions in *rows*, each with its key; a damaged one is left out, and told in the log."""
        return self._all("decision", rows, decode_decision)

    def requests(self, rows: Iterable[tuple[int, StateRow]]) -> list[ControlRequest]:
        """Return the requests in *rows*, each with its number; a damaged one is left out, and told in the log."""
        return [
            replace(request, id=number)
            for number, row in rows
            for request in self._all("request", [(number, row)], lambda row: decode_state(row, ControlRequest))
        ]

    def _all(self, what: str, rows: Iterable[tuple[object, StateRow]], decode: Callable[[StateRow], V]) -> list[V]:
        found = []
        for key, row in rows:
            try:
                found.append(decode(row))
            except ValueError as exc:
                if (what, key) not in self._told:  # once for each: workers ask again and again
                    self._told.add((what, key))
                    extra = {"store": self._store, "entry": f"{what} {key}", "reason": str(exc)}
                    log.warning("damaged entry of a state store left out", extra=extra)
        return found


def _whole(row: StateRow) -> bytes:
    if crc32(row.payload) != row.crc:
        raise ValueError("it does not fit its checksum")
    return row.payload


def _tree(row: StateRow) -> object:
    try:
        return json.loads(_whole(row))
    except RecursionError as exc:
        raise ValueError("it cannot be read: nested too deeply") from exc


def _converted(tree: object, kind: type[V]) -> V:
    try:
        return msgspec.convert(tree, kind)
    except msgspec.MsgspecError as exc:
        raise ValueError(f"it cannot be read: {exc}") from exc


def _plain(value: object) -> object:
    if isinstance(value, Mapping):  # of any sort, such as one that cannot be changed
        return dict(value)
    raise TypeError(f"{type(value).__name__} has no place in a state store")


def _moment(value: object) -> str:
    if not isinstance(value, datetime):
        raise TypeError(f"{type(value).__name__} has no place in a state store")
    return (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC).isoformat()
