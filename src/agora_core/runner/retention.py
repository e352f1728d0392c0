"""Deletes resolved dead letters that were kept long enough: in each store once an hour, beside the runs."""

import asyncio
from collections.abc import Callable, Hashable
from contextvars import copy_context
from datetime import UTC, datetime, timedelta
from logging import getLogger

from agora_core.runner.failures import error_line
from agora_core.spec.errors import StoreError
from agora_core.spec.letters import RESOLVED, DlqStore, LetterQuery
from agora_core.spec.time import Clock

log = getLogger("agora.runner")

_EVERY_SECONDS = 3600.0
_STORE_SECONDS = 600.0
"""How long one store may take, so that one that hangs does not keep the others from their turn."""

_BEFORE_ALL = datetime(1970, 1, 1, tzinfo=UTC)
"""Nothing was resolved before then."""

Purged = Callable[[str, DlqStore, int], None]
"""Told of each pipeline of which letters were deleted, with its store and their number."""


class _Place:
    """A store, and how long each pipeline that uses it keeps its resolved letters."""

    def __init__(self, store: DlqStore, due: float) -> None:
        self.store = store
        self.due = due
        self.keep: dict[str, timedelta] = {}


class Retention:
    """Goes from store to store, each in its turn; one that fails is logged, and tried again when it is due again.

    Only letters of the pipelines that it knows are deleted: whoever else has letters in a store keeps them as long as
    they like. Pieces of a purge are durable one by one, so that it may be cancelled at any moment.
    """

    def __init__(self, clock: Clock, purged: Purged) -> None:
        self._clock = clock
        self._purged = purged
        self._places: dict[object, _Place] = {}
        self._keys: dict[str, object] = {}
        """Where each pipeline has its letters."""
        self._working: asyncio.Task[None] | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._is_closed = False
        self._context = copy_context()

    @property
    def tasks(self) -> tuple[asyncio.Task[None], ...]:
        """What is to be waited for, or cancelled, when all ends."""
        return () if self._working is None else (self._working,)

    def know(self, pipeline_id: str, store: DlqStore, keep: timedelta | None) -> None:
        """Delete resolved letters of the pipeline from *store* that are older than *keep*; None keeps them for ever.

        A store that is new here is looked at soon, so that a worker that lives for a minute does it too.
        """
        key = _key(store)
        if self._keys.get(pipeline_id, key) != key or keep is None:
            self._forget(pipeline_id)
        if keep is None or self._is_closed:
            return
        place = self._places.get(key)
        if place is None:
            place = self._places[key] = _Place(store, asyncio.get_running_loop().time())
            self._set_alarm(place.due)
        place.store = store  # the latest object that stands for it
        place.keep[pipeline_id] = keep
        self._keys[pipeline_id] = key

    def close(self) -> None:
        """Begin nothing more."""
        self._is_closed = True
        if self._alarm is not None:
            self._alarm.cancel()

    def _forget(self, pipeline_id: str) -> None:
        key = self._keys.pop(pipeline_id, None)
        place = self._places.get(key)
        if place is not None:
            place.keep.pop(pipeline_id, None)
            if not place.keep:
                del self._places[key]

    def _set_alarm(self, due: float) -> None:
        """Look at what is due then, unless something is done just now: what follows is decided behind it."""
        if self._working is not None or (self._alarm is not None and self._alarm.when() <= due):
            return
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = asyncio.get_running_loop().call_at(due, self._begin, context=self._context)

    def _begin(self) -> None:
        self._alarm = None
        loop, name = asyncio.get_running_loop(), "agora purges dead letters"
        self._working = loop.create_task(self._purge_what_is_due(), name=name, context=self._context)
        self._working.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._working = None
        if self._places and not self._is_closed:
            self._set_alarm(min(place.due for place in self._places.values()))

    async def _purge_what_is_due(self) -> None:
        now = asyncio.get_running_loop().time
        for place in [one for one in self._places.values() if one.due <= now()]:
            if self._is_closed:
                return
            await self._purge(place)
            place.due = now() + _EVERY_SECONDS

    async def _purge(self, place: _Place) -> None:
        store = place.store
        try:
            async with asyncio.timeout(_STORE_SECONDS):
                await store.open()  # opens are counted: a run may have it open too
                try:
                    await self._purge_each(store, dict(place.keep))
                finally:
                    await store.close()
        except (Exception, SystemExit) as error:  # noqa: BLE001  # a border: stores are plugins, and nothing waits for this
            extra = {"store": repr(store), "error": error_line(error), "again_in_seconds": _EVERY_SECONDS}
            log.warning("resolved dead letters could not be purged", extra=extra)

    async def _purge_each(self, store: DlqStore, keep: dict[str, timedelta]) -> None:
        now = self._clock.now()
        latest = now - min(keep.values())
        if not await store.count(LetterQuery(states=RESOLVED, resolved_before=latest)):
            return
        # Whoever died after that was not resolved before either.
        if await store.count(LetterQuery(states=RESOLVED, resolved_before=_BEFORE_ALL)):
            raise StoreError("it does not know `resolved_before`, and would delete all that is resolved")
        old = {group.pipeline_id for group in await store.stats() if group.state in RESOLVED and group.oldest < latest}
        for pipeline_id in sorted(old & keep.keys()):
            if not self._is_closed:
                await self._purge_one(store, pipeline_id, now - keep[pipeline_id])

    async def _purge_one(self, store: DlqStore, pipeline_id: str, before: datetime) -> None:
        query = LetterQuery(pipeline_id=pipeline_id, states=RESOLVED, resolved_before=before)
        count = await store.purge(query)
        if count:
            extra = {"pipeline_id": pipeline_id, "letters": count, "resolved_before": before.isoformat()}
            log.info("resolved dead letters purged", extra=extra)
            self._purged(pipeline_id, store, count)


def _key(store: DlqStore) -> object:
    """Return what is equal for objects that stand for one store: a factory may make a new one for each run."""
    says_itself = type(store).__eq__ is not object.__eq__ and isinstance(store, Hashable)
    return store if says_itself else (type(store), repr(store))
