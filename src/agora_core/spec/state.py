"""The port of state stores: what a pipeline remembers from one worker to the next."""

from typing import Protocol

from agora_core.spec.records import Position


class StateStore(Protocol):
    """Keeps the position of each pipeline's source. All methods may raise `StoreError`."""

    async def open(self) -> None:
        """Make the store ready, or raise `StoreError` or `ConfigError` with what to do. Opens are counted."""

    async def close(self) -> None:
        """Let go of files and connections at as many closes as opens. A close too many does nothing."""

    async def checkpoint(self, pipeline_id: str) -> Position | None:
        """Return the position last saved for the pipeline, or None."""

    async def save_checkpoint(self, pipeline_id: str, position: Position) -> None:
        """Remember *position*; durable when it returns."""
