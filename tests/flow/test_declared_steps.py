"""The declarative steps in a pipeline, where they are compiled into its loop."""

from copy import deepcopy

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agora import steps
from agora_core.flow.delivery_config import DeliveryConfig
from agora_core.flow.pipeline import Pipeline

QUAKES = [
    {"id": 1, "magnitude": "4.5", "time": 1700000000000, "tz": 0},
    {"id": 2, "magnitude": "4,5", "time": 1700000000000, "tz": 0},
    {"id": 3, "magnitude": "1.2", "time": 1700000000000, "tz": 0},
    {"id": 4, "mag": "4.5", "time": 1700000000000},
    {"id": 5, "magnitude": None, "time": 1700000000000},
    ["no fields"],
]


class Rows:
    """A sink of any records."""

    def __init__(self):
        self.records = []

    def write_batch(self, records):
        self.records += records


def build(flow, records, chain, sink, dlq):
    pipeline = Pipeline(flow.Lists(records))
    for step in chain:
        pipeline = pipeline.pipe(step) if hasattr(step, "process") else pipeline.map(step)
    return pipeline.build(sink, config=DeliveryConfig(dlq=dlq))


async def test_a_chain_of_steps_delivers_filters_and_refuses(flow):
    """What failed is kept as it entered the stage that refused it, and with what the source gave."""
    sink, dlq, before = Rows(), flow.Store(), deepcopy(QUAKES)
    chain = [
        steps.where("id", "is not null"),
        steps.set(country="NL"),
        steps.rename(magnitude="mag"),
        steps.cast(mag="float", time="unix_ms"),
        steps.where("mag", ">=", 4),
        steps.drop("tz", "time"),
    ]

    summary = await build(flow, QUAKES, chain, sink, dlq).run()

    assert (summary.written, summary.filtered, summary.dead) == (1, 2, 3)
    assert sink.records == [{"id": 1, "country": "NL", "mag": 4.5}]
    assert [(letter.stage, letter.error.message) for letter in dlq.all] == [
        ("middleware:cast", "field 'mag': '4,5' is not a float"),
        ("middleware:rename", "the record has no field 'magnitude'"),
        ("middleware:where", "a step needs a record with fields by name, as a dict has; this one is of type 'list'"),
    ]
    assert [letter.record for letter in dlq.all] == [
        {"id": 2, "time": 1700000000000, "tz": 0, "country": "NL", "mag": "4,5"},
        {**QUAKES[3], "country": "NL"},
        ["no fields"],
    ]
    assert [letter.origin for letter in dlq.all] == QUAKES[1:2] + QUAKES[3:4] + QUAKES[5:]
    assert before == QUAKES


async def test_what_a_function_gave_is_not_changed_in_place(flow):
    """It may hold on to it; only what a step made may be changed by the next."""
    given = []

    def remembered(record):
        given.append(record)
        return record

    sink = Rows()
    chain = [steps.set(a=1), remembered, steps.where("a", "==", 1), steps.set(b=2), steps.drop("a")]

    await build(flow, [{"id": 1}], chain, sink, flow.Store()).run()

    assert given == [{"id": 1, "a": 1}]
    assert sink.records == [{"id": 1, "b": 2}]


@pytest.mark.parametrize("name", ["rename", "tidy"])
async def test_a_stage_is_named_after_its_step(flow, name):
    """In the pipeline and in its dead letters; or by the name that the step was given."""
    dlq = flow.Store()
    step = steps.rename(magnitude="mag").named(name)

    bound = build(flow, [{"mag": 1}], [step], Rows(), dlq)
    await bound.run()

    assert bound.stages == ("source_record", f"middleware:{name}", "sink_write")
    assert dlq.all[0].stage == f"middleware:{name}"


CHAIN = st.lists(
    st.sampled_from(
        [
            steps.set(a="7"),
            steps.set(b=[1]),
            steps.rename(a="b", missing="ignore", existing="replace"),
            steps.rename(a="c"),
            steps.rename(a="b", b="a", missing="ignore"),
            steps.drop("c"),
            steps.cast(a="int", missing="ignore"),
            steps.cast(b="float", empty="null"),
            steps.where("a", "!=", 3, missing="null"),
            steps.where("b", ">", 0),
            dict,
            lambda record: record,
        ]
    ),
    max_size=6,
)
RECORDS = st.lists(
    st.dictionaries(st.sampled_from("abc"), st.sampled_from([None, "", "3", "x", 3, -1, 2.5, [1]]), max_size=3),
    max_size=4,
)


def called(chain, records):
    """Return what comes out, and what fails, when each step is called."""
    kept, failed = [], []
    for record in records:
        value = record
        try:
            for step in chain:
                value = step.process(entered := value) if hasattr(step, "process") else step(entered := value)
                if value is None:
                    break
            else:
                kept.append(value)
        except Exception as error:
            failed.append((entered, type(error).__name__, str(error)))
    return kept, failed


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(chain=CHAIN, records=RECORDS)
def test_a_compiled_chain_does_what_its_steps_do(chain, records, flow):
    """Steps and functions in any order: the same comes out and the same fails, and the source's records stay."""
    before = deepcopy(records)
    kept, failed = called(chain, records)
    sink, dlq = Rows(), flow.Store()

    summary = build(flow, records, chain, sink, dlq).run_sync()

    assert list(map(repr, sink.records)) == list(map(repr, kept))
    assert [(one.record, one.error.type, one.error.message) for one in dlq.all] == failed
    assert summary.filtered == len(records) - len(kept) - len(failed)
    assert records == before
