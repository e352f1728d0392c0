"""`MemoryState`: the positions of sources in this process's memory, for tests."""

from agora_core.builtin.codec import decode_record, encode_record
from agora_core.spec.errors import StoreError
from agora_core.spec.letters import Fidelity
from agora_core.spec.records import Position


class MemoryState:
    """Keeps positions as long as it lives, opened or not."""

    def __init__(self) -> None:
        self._positions: dict[str, bytes] = {}

    async def open(self) -> None:
        """Do nothing: it is always ready."""

    async def close(self) -> None:
        """Do nothing: what was saved stays."""

    async def checkpoint(self, pipeline_id: str) -> Position | None:
        """Return a copy of the position last saved for the pipeline, or None."""
        payload = self._positions.get(pipeline_id)
        return None if payload is None else decode_record(payload)

    async def save_checkpoint(self, pipeline_id: str, position: Position) -> None:
        """Remember a copy of *position*; refuse what a durable store would refuse."""
        kept = encode_record(position)
        if kept.fidelity is not Fidelity.EXACT:
            raise StoreError(
                f"the position of pipeline {pipeline_id!r} cannot be kept: "
                f"{kept.type} is not a JSON value (number, text, list, dict)"
            )
        self._positions[pipeline_id] = kept.payload
