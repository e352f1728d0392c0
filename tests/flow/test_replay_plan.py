"""How a dead letter goes through its pipeline again, by what could be kept of it: decided without doing anything."""

from dataclasses import dataclass, replace
from enum import Enum

import pytest

from agora_core.codec.types import Types
from agora_core.flow.replay_plan import Distrust, Refusal, Way, check_query, way_of
from agora_core.flow.replay_summary import ReplayMode
from agora_core.flow.replay_terms import ReplayTerms
from agora_core.spec.errors import ConfigError
from agora_core.spec.letters import UNKNOWN, Fidelity, LetterQuery, LetterState
from agora_core.spec.typed_values import CodedValue, TypedValue
from agora_core.testing.dlq_samples import letter


class Kind(Enum):
    RETAIL = "retail"


@dataclass(frozen=True)
class Order:
    id: int
    kind: Kind
    made = 0

    def __post_init__(self):
        type(self).made += 1


KIND = TypedValue(type=f"{__name__}:Kind", kind="enum", value="retail")
ORDER = TypedValue(type=f"{__name__}:Order", kind="dataclass", value={"id": 7, "kind": KIND})
KNOWN = Types(classes=(Order, Kind))
DESCRIPTION = {"opaque": "socket is no type that can be kept exactly", "type": "dict", "value": "{…}"}


@pytest.fixture
def pipeline(flow):
    """A chain of the stages `one` and `two`, and two sinks."""
    return flow.build(
        flow.Lists([]),
        flow.Kept(name="a"),
        flow.Kept(name="b"),
        steps=lambda p: p.map(lambda r: r, name="one").map(lambda r: r, name="two"),
    )


def dead(record, *, stage="middleware:two", **more):
    return replace(letter("a", record=record, stage=stage), **more)


def way(pipeline, one, **terms):
    return way_of(pipeline, one, ReplayTerms(**terms))


class TestTypedRecords:
    def test_a_record_of_a_class_is_of_its_class_again(self, pipeline):
        """Whatever is inside of it too; no constructor of the user's is called."""
        before = Order.made

        found = way(pipeline, dead(ORDER), types=KNOWN)

        assert type(found) is Way
        assert (type(found.record), found.record.id, found.record.kind) == (Order, 7, Kind.RETAIL)
        assert Order.made == before

    def test_so_is_the_sources_record(self, pipeline):
        """In a list too."""
        found = way(pipeline, dead({"n": 1}, origin=[ORDER]), types=KNOWN)

        assert (found.mode, [type(one) for one in found.record]) == (ReplayMode.PIPELINE, [Order])

    @pytest.mark.parametrize(
        ("record", "reason"),
        [
            (ORDER, f"its class {__name__}:Order is not known here"),
            ({"deep": [KIND]}, f"its class {__name__}:Kind is not known here"),
            (
                CodedValue(codec="npy/1", type="numpy.ndarray", payload=b""),
                "its codec 'npy/1' is neither installed nor",
            ),
        ],
    )
    def test_what_is_not_known_is_refused(self, pipeline, record, reason):
        """With what makes it known; nothing is imported since a letter names it."""
        found = way(pipeline, dead(record))

        assert isinstance(found, Refusal)
        assert reason in found.reason

    @pytest.mark.parametrize(
        ("value", "reason"),
        [
            (replace(ORDER, kind="attrs"), "was one of attrs, and is a class of dataclass now"),
            (replace(ORDER, value={"id": 7}), "kind"),
            (replace(ORDER, value={"id": 7, "kind": KIND, "old": 1}), "old"),
            (replace(ORDER, value={"id": 7, "kind": replace(KIND, value="wholesale")}), "has no member with the value"),
        ],
    )
    def test_a_class_that_changed_since_is_refused(self, pipeline, value, reason):
        """With what does not fit; with --allow-lossy a transform is given what was kept."""
        refused = way(pipeline, dead(value), types=KNOWN)
        allowed = way(pipeline, dead(value), types=KNOWN, allow_lossy=True)

        assert isinstance(refused, Refusal)
        assert f"{__name__}:" in refused.reason
        assert reason in refused.reason
        assert allowed.record == value


class TestFidelity:
    @pytest.mark.parametrize("fidelity", [Fidelity.EXACT, Fidelity.EQUAL])
    def test_what_came_back_is_replayed(self, pipeline, fidelity):
        """What is equal as its class says, too."""
        assert isinstance(way(pipeline, dead(1, fidelity=fidelity)), Way)

    @pytest.mark.parametrize("mode", ReplayMode)
    def test_what_lost_something_is_refused_in_every_mode(self, pipeline, mode):
        """The source's record has lost it as well."""
        one = dead(
            {"password": "***"}, stage="sink_write", sink="a", origin={"password": "***"}, fidelity=Fidelity.LOSSY
        )

        assert "something was taken out of the record on purpose" in way(pipeline, one, mode=mode).reason
        assert isinstance(way(pipeline, one, mode=mode, allow_lossy=True), Way)

    def test_a_description_is_never_sent_unasked(self, pipeline):
        """The source's own record is, where it is known."""
        one = dead(DESCRIPTION, fidelity=Fidelity.OPAQUE)
        known = replace(one, origin={"n": 1})

        assert (
            "only a description of the record could be kept; --allow-lossy with --transform"
            in way(pipeline, one).reason
        )
        assert way(pipeline, known).record == {"n": 1}
        assert "use mode 'pipeline', since the source's record is known" in way(pipeline, known, mode="resume").reason
        assert way(pipeline, one, allow_lossy=True).record == DESCRIPTION

    def test_what_is_damaged_is_not_trusted(self, pipeline):
        """Whatever is allowed."""
        one = dead(DESCRIPTION, fidelity=Fidelity.OPAQUE, damage="the row does not fit its checksum")

        assert way(pipeline, one, allow_lossy=True) == Distrust("the row does not fit its checksum")


class TestWays:
    @pytest.mark.parametrize(
        ("stage", "sink", "mode", "origin", "enters_at", "sinks"),
        [
            ("middleware:one", "", "auto", 3, 0, ("a", "b")),
            ("middleware:two", "", "auto", 3, 0, ("a", "b")),
            ("middleware:two", "", "auto", UNKNOWN, 1, ("a", "b")),
            ("middleware:one", "", "resume", 3, 0, ("a", "b")),
            ("middleware:two", "", "resume", 3, 1, ("a", "b")),
            ("sink_write", "b", "auto", 3, 0, ("b",)),
            ("sink_write", "b", "auto", UNKNOWN, 2, ("b",)),
            ("sink_write", "b", "sink", 3, 2, ("b",)),
            ("middleware:two", "", "auto", None, 0, ("a", "b")),
        ],
    )
    def test_where_it_enters(self, pipeline, stage, sink, mode, origin, enters_at, sinks):
        """The origin at the beginning, the record at its stage; a sink's letter goes to that sink alone."""
        found = way(pipeline, dead(5, stage=stage, sink=sink, origin=origin), mode=mode)

        assert (found.enters_at, found.sinks) == (enters_at, sinks)
        assert found.record == (origin if found.mode is ReplayMode.PIPELINE else 5)

    @pytest.mark.parametrize(
        ("more", "mode", "reason"),
        [
            ({"stage": "source_record"}, "auto", "the source could not read it, and only the source can"),
            ({"stage": "middleware:gone"}, "auto", "the pipeline has no stage 'middleware:gone' any more"),
            ({"stage": "sink_write", "sink": "gone"}, "auto", "the pipeline has no sink 'gone' any more"),
            ({}, "sink", "mode 'sink' replays letters of the stage 'sink_write' only"),
            ({}, "pipeline", "the source's record is not known; use mode 'resume'"),
        ],
    )
    def test_why_it_does_not(self, pipeline, more, mode, reason):
        """Each in one sentence; --allow-lossy is about none of it."""
        for allow_lossy in (False, True):
            assert way(pipeline, dead(5, **more), mode=mode, allow_lossy=allow_lossy) == Refusal(reason)


class TestQueries:
    def test_a_lease_that_is_over_is_asked_for_too(self, pipeline):
        """It belongs to a replay that was killed."""
        asked = check_query(pipeline, ReplayTerms())

        assert asked == LetterQuery(pipeline_id=pipeline.id, states=(LetterState.DEAD, LetterState.LEASED))

    def test_another_pipelines_letters_can_be_asked_for(self, pipeline):
        """A schedule has an id of its own."""
        assert check_query(pipeline, ReplayTerms(query=LetterQuery(pipeline_id="orders"))).pipeline_id == "orders"

    def test_a_stage_that_there_is_not_is_refused(self, pipeline):
        """With those that there are."""
        with pytest.raises(ConfigError, match=r"no stage 'middleware:tow'; known: .*; did you mean 'middleware:two'\?"):
            check_query(pipeline, ReplayTerms(query=LetterQuery(stage="middleware:tow")))


@pytest.mark.parametrize(
    ("terms", "said"),
    [
        ({"mode": "straight"}, "no replay mode 'straight'; known: auto, pipeline, resume, sink"),
        ({"limit": 0}, "limit must be a whole number of at least 1, not 0"),
        ({"max_attempts": True}, "max_attempts must be a whole number of at least 1, not True"),
        ({"rate": 0.0}, "rate must be a number above 0, not 0.0"),
        ({"rate": float("nan")}, "rate must be a number above 0, not nan"),
        ({"mode": "sink", "query": LetterQuery(stage="middleware:x")}, "mode 'sink' replays letters of the stage"),
        ({"query": LetterQuery(states=(LetterState.PARKED,))}, "only letters in the state 'dead' can be replayed"),
    ],
)
def test_terms_that_nothing_can_meet_are_refused(terms, said):
    """Where they are given."""
    with pytest.raises(ConfigError) as raised:
        ReplayTerms(**terms)

    assert said in str(raised.value)
