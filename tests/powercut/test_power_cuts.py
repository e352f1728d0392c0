"""At a power cut the stores lose nothing that they acknowledged, and no file is corrupt, whatever was left unsynced."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from random import Random

import pytest

from . import plans
from .checks import Check, check_letters, check_positions, examine
from .conftest import SEED
from .cuts import cuts
from .promises import History, Letters, Model, Positions
from .traces import Kind
from .tracing import ended

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

SHORT_LOG = {"checkpoint_at": 1 << 16, "wal_kept": 1 << 15}
"""Checkpoints after 64 KiB, and a log that is cut to 32 KiB: all that happens to a long log, in a short time."""

LIVES = 8
RECOVERIES = 8


@dataclass(frozen=True)
class Workload:
    """What a traced process does with a store, and how its images are looked at."""

    rounds: Callable[[Random], plans.Rounds]
    adjusted: dict[str, int] = field(default_factory=dict)
    store: str = "dlq"
    model: Model = field(default_factory=Letters)
    check: Check = check_letters


WORKLOADS = {
    "creation": Workload(plans.creation),
    "groups": Workload(plans.groups),
    "replays": Workload(plans.replays),
    "checkpoints": Workload(plans.checkpoints, SHORT_LOG),
    "big letters": Workload(plans.big_letters),
    "positions": Workload(plans.positions, SHORT_LOG, "state", Positions(), check_positions),
}
IMAGES = {
    "creation": 450,
    "groups": 600,
    "replays": 700,
    "checkpoints": 900,
    "big letters": 100,
    "positions": 500,
    "crowd": 500,
    "killed": 600,
    "recovery": 60 * RECOVERIES,
    "folders": 100,
}
"""How many power cuts are made of each workload, at least."""


def chance(name: str) -> Random:
    """Return what is random in the test *name*."""
    return Random(f"{SEED} {name}")


def test_there_are_enough_images() -> None:
    """All workloads together make three thousand images and more."""
    assert sum(IMAGES.values()) >= 3000
    assert set(WORKLOADS) <= set(IMAGES)


@pytest.fixture
def look(counted):
    """Look at the images of power cuts in what was traced, and hold that all is well in each."""

    async def look(name, place, history=nothing_yet, check=check_letters, *, at_least=None):
        least = at_least or IMAGES[name]
        found = cuts(place.operations(), place.before, history, chance(name), at_least=least)
        tally = await examine(found, place, check)
        counted(tally.images)
        assert not tally.broken, "\n".join([f"POWERCUT_SEED={SEED}", *tally.broken])
        assert tally.images >= least

    return look


def nothing_yet() -> History:
    """Return the history of a dead-letter store that was not made yet."""
    return History(Letters())


@pytest.mark.parametrize("name", WORKLOADS)
@pytest.mark.fault(19)
async def test_nothing_acknowledged_is_lost(place, look, name):
    """Each image opens, is sound, and holds exactly what was acknowledged, and of what was in flight all or nothing."""
    workload = WORKLOADS[name]
    place.begin()
    place.run({"store": workload.store, "rounds": workload.rounds(chance(name)), **workload.adjusted})

    await look(name, place, lambda: History(workload.model), workload.check)


@pytest.mark.fault(19)
async def test_processes_that_share_a_file_lose_nothing(place, look):
    """Two processes put into one file, and checkpoint and close it, while the other writes."""
    place.begin()
    each = [{"who": who, "rounds": plans.crowd(chance(who), who), **SHORT_LOG} for who in "ab"]
    running = [place.start(plan) for plan in each]
    for process in running:
        ended(process)

    await look("crowd", place)


async def test_killed_processes_lose_nothing_at_a_power_cut_either(place, look):
    """One process after another is killed at any operation, and the next goes on with what that left."""
    luck = chance("killed")
    place.begin()
    for who in "abcdefgh"[:LIVES]:
        plan = {"who": who, "rounds": plans.life(luck, who, many=120), **SHORT_LOG}
        assert place.run(plan, kill_after=luck.randint(1, 400)) < 0
    place.run({"who": "z", "rounds": plans.life(luck, "y", many=3), **SHORT_LOG})

    await look("killed", place)


async def test_a_power_cut_during_recovery_loses_nothing(place, look):
    """What a first power cut left is opened, and while that goes on there is a second one."""
    luck = chance("recovery")
    place.begin()
    place.run({"rounds": plans.checkpoints(luck), **SHORT_LOG})
    first = [
        (cut.image, cut.history.copy())
        for cut in cuts(place.operations(), place.before, nothing_yet, luck, at_least=300)
        if len(cut.image.contents.get(f"{place.database}-wal") or b"") > 0
    ]

    for number, (image, history) in enumerate(luck.sample(first, RECOVERIES)):
        again = replace(place, folder=place.folder / f"again-{number}")
        image.write(again.root)
        again.begin()
        again.run({"who": "n", "rounds": plans.life(luck, "n", many=4), **SHORT_LOG})
        await look("recovery", again, history.copy, at_least=IMAGES["recovery"] // RECOVERIES)


async def test_folders_that_the_store_made_are_durable(place, look):
    """A store in a folder that was not there is found again after a power cut, with its folder."""
    inside = replace(place, database="a/new/folder/letters.db")
    inside.begin()
    inside.run({"rounds": plans.creation(chance("folders"))})

    await look("folders", inside)


@pytest.mark.parametrize("synchronous", ["normal", "off"])
async def test_a_store_that_syncs_too_little_is_caught(place, synchronous):
    """The simulator finds that the same store, set to sync less, loses what it acknowledged."""
    place.begin()
    place.run({"rounds": plans.replays(chance(synchronous)), "synchronous": synchronous, **SHORT_LOG})

    found = cuts(place.operations(), place.before, nothing_yet, chance(synchronous), at_least=200)
    tally = await examine(found, place, most=200)

    assert len(tally.broken) > tally.images / 10


UNSYNCED = {
    "the log": lambda path: path == "dead_letters.db-wal",
    "the database": lambda path: path == "dead_letters.db",
    "the database while it is made": lambda path: ".new-" in path and not path.endswith(("-wal", "-journal")),
    "the folder": lambda path: path == "",
}


@pytest.mark.parametrize("what", UNSYNCED)
async def test_a_disk_that_ignores_syncs_is_caught(place, what):
    """The simulator finds that each sort of sync is needed: without it something is lost, or corrupt."""
    place.begin()
    place.run({"rounds": plans.checkpoints(chance(what)), **SHORT_LOG})
    done = [*without_syncs(place.operations(), UNSYNCED[what])]

    found = cuts(done, place.before, nothing_yet, chance(what), at_least=600)
    tally = await examine(found, place, most=1)

    assert tally.broken


def without_syncs(done, ignored):
    """Return the operations *done* without the syncs of files whose paths are *ignored*."""
    paths = {}
    for operation in done:
        handle = operation.process, operation.handle
        if operation.kind is Kind.OPEN:
            paths[handle] = operation.paths[0]
        if operation.kind is not Kind.SYNC or not ignored(paths[handle]):
            yield operation
