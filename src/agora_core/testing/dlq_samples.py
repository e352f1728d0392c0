"""Dead letters, queries and values with which the contract of dead-letter stores is tried."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from agora_core.spec.letters import SINK_WRITE, DeadLetter, DlqStore, Failure, LetterQuery
from agora_core.spec.records import Record

EVERYTHING = LetterQuery(states=())
NOON = datetime(2024, 2, 29, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
NO_TIME = timedelta(0)

AGAIN = Failure(type="TimeoutError", message="and again", traceback="line 2")

JSON_RECORDS: tuple[Record, ...] = (
    None,
    True,
    0,
    -7,
    1.5,
    "",
    "text, ünïcödé, 🜁, \x00, \u202e",
    [],
    {},
    [1, "2", None, [3.25]],
    {"b": 1, "a": {"": [True, False]}},
    {"$tuple": [1]},
    ["$decimal", "1"],
)
"""Values that every store gives back exactly."""


class Plain:
    """A class of the user's own, of which a store may know nothing."""


class Rude:
    """Refuses to be copied, written or shown."""

    def __repr__(self) -> str:
        raise RuntimeError("no repr")

    def __reduce_ex__(self, protocol: object) -> str:
        raise TypeError("no copy")


def letter(  # noqa: PLR0913  # each is a field of the letter
    uid: str,
    *,
    record: Record = None,
    pipeline_id: str = "orders",
    run_id: str = "run-1",
    stage: str = SINK_WRITE,
    error_type: str = "ValueError",
    at: datetime = NOON,
) -> DeadLetter:
    """Return a letter that has just died."""
    return DeadLetter(
        uid=uid,
        pipeline_id=pipeline_id,
        run_id=run_id,
        stage=stage,
        sink="jsonl" if stage == SINK_WRITE else "",
        record=record,
        error=Failure(type=error_type, message=f"{uid} is bad", traceback="line 1"),
        first_failed_at=at,
        last_failed_at=at,
    )


def letters(*uids: str) -> list[DeadLetter]:
    """Return one letter for each of *uids*."""
    return [letter(uid) for uid in uids]


def uids(found: list[DeadLetter]) -> list[str]:
    """Return the uids of what was *found*, in order."""
    return [one.uid for one in found]


async def letters_by_id(store: DlqStore, ids: Iterable[int]) -> list[DeadLetter]:
    """Return the letters in *store* that have one of these *ids*, such as those of a lease, in whatever state."""
    wanted = tuple(ids)
    # A query of no ids asks for every letter.
    return await store.find(LetterQuery(ids=wanted, states=())) if wanted else []
