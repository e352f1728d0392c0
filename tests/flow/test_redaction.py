"""Secrets in dead letters: what the pipeline's redactor takes out of a record stands nowhere else either."""

import asyncio
import logging
from collections import OrderedDict, deque, namedtuple
from copy import deepcopy
from dataclasses import dataclass, field
from typing import NamedTuple

import attrs
import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agora_core.builtin.sqlite_dlq import SqliteDlq
from agora_core.flow.context import RunContext
from agora_core.flow.masking import mask
from agora_core.flow.quoting import without
from agora_core.spec.errors import ConfigError, DeadLetterError, TooManyDeadError
from agora_core.spec.letters import UNKNOWN, Fidelity
from agora_core.spec.records import BadRecord

SECRET = "hunter2-of-mine"


@dataclass(frozen=True, slots=True)
class Account:
    password: str
    name: str = "me"

    def __post_init__(self):
        if self.password == "***":
            raise ValueError("no password")


class Struct(msgspec.Struct, frozen=True):
    password: str
    card: dict = {}


class Model(pydantic.BaseModel):
    model_config = {"frozen": True, "extra": "allow"}
    password: int
    name: str = "me"


@attrs.frozen
class Attrs:
    password: str
    name: str = "me"


class Named(NamedTuple):
    password: str
    name: str = "me"


@dataclass
class Plain:
    password: str
    inner: list = field(default_factory=list)


Old = namedtuple("Old", "password name")


class TestMask:
    @pytest.mark.parametrize(
        "record",
        [
            Account(SECRET),
            Struct(SECRET),
            Model(password=7),
            Attrs(SECRET),
            Named(SECRET),
            Old(SECRET, "me"),
            Plain(SECRET, [1]),
            {"password": SECRET, "name": "me"},
            OrderedDict(password=SECRET, name="me"),
        ],
        ids=lambda record: type(record).__name__,
    )
    def test_a_field_is_masked_in_a_copy_of_the_same_type(self, record):
        """Frozen or not, whatever its constructor would say to `***`; the record itself is as it was."""
        before = deepcopy(record)

        masked = mask("password")(record)

        value = masked["password"] if isinstance(masked, dict) else masked.password
        assert (value, type(masked)) == ("***", type(record))
        assert record == before
        assert mask("password")(masked) is masked
        assert mask("other")(record) is record

    @pytest.mark.parametrize(
        ("path", "record", "masked"),
        [
            ("card.number", {"card": {"number": 1, "of": "me"}}, {"card": {"number": "***", "of": "me"}}),
            ("card.number", {"card.number": 1, "card": 2}, {"card.number": "***", "card": 2}),
            ("card", {"card": {"number": 1}}, {"card": "***"}),
            ("*.token", {"a": {"token": 1}, "b": "text", "token": 2}, {"a": {"token": "***"}, "b": "text", "token": 2}),
            (
                "**.token",
                {"token": 1, "a": [{"b": ({"token": 2},)}]},
                {"token": "***", "a": [{"b": ({"token": "***"},)}]},
            ),
            (
                "a.**.token",
                {"token": 1, "a": {"token": 2, "b": {"token": 3}}},
                {"token": 1, "a": {"token": "***", "b": {"token": "***"}}},
            ),
            ("cards.number", {"cards": [{"number": 1}, {"other": 2}]}, {"cards": [{"number": "***"}, {"other": 2}]}),
            ("cards.*.number", {"cards": [{"number": 1}]}, {"cards": [{"number": "***"}]}),
            ("words.*", {"words": ["a", "b"], "x": "c"}, {"words": ["***", "***"], "x": "c"}),
            ("1", ["me", SECRET], ["me", "***"]),
            ("a.password", {"a": deque([{"password": 1}])}, {"a": deque([{"password": "***"}])}),
            ("a.password", {"a": {Named(SECRET)}}, {"a": {Named("***")}}),
            ("password", {b"password": 1}, {b"password": "***"}),
            ("7", {7: 1}, {7: "***"}),
            ("card.number", {"card": '{"number": 1}'}, {"card": "***"}),
            ("password", "password=1", "*** (10 characters)"),
            ("password", b"\xff\x00", "*** (2 bytes)"),
        ],
    )
    def test_a_path_leads_to_its_fields(self, path, record, masked):
        """By name, through lists, past any name or any number of levels; what has no fields is masked whole."""
        assert mask(path)(record) == masked

    @pytest.mark.parametrize("record", [5, None, True, {"password": None}, {}, [], {"tags": ["password"]}])
    def test_where_there_is_nothing_the_record_itself_comes_back(self, record):
        """The same object, so that nobody takes it for one that lost something."""
        assert mask("password", "**.token")(record) is record

    def test_what_is_not_masked_is_shared(self):
        """Only what lies on the way to a masked field is copied."""
        record = {"card": {"number": 1, "big": list(range(9))}, "other": {}}

        masked = mask("card.number")(record)

        assert masked["other"] is record["other"]
        assert masked["card"]["big"] is record["card"]["big"]

    @pytest.mark.parametrize("build", [list, dict])
    def test_a_record_without_an_end_is_refused(self, build):
        """One that contains itself raises, rather than running for ever."""
        record = build()
        record.append(record) if build is list else record.update(it=record)

        with pytest.raises(ValueError, match="200 levels"):
            mask("it" * 3, "**.token")(record)

    @pytest.mark.parametrize(
        ("fields", "sentence"),
        [
            ((), "mask needs the names of fields"),
            ((7,), "not 7"),
            (("",), "'' names no field"),
            (("a..b",), "'a..b' names no field"),
            (("a.**",), "ends with a name"),
        ],
    )
    def test_nonsense_is_refused(self, fields, sentence):
        """In one sentence that says what a path is."""
        with pytest.raises(ConfigError, match=sentence.replace("*", r"\*")):
            mask(*fields)

    @given(
        st.recursive(
            st.none() | st.integers() | st.text(),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(st.sampled_from(["password", "a", "b", "token"]), inner, max_size=3)
            ),
        )
    )
    def test_no_password_is_left_at_any_depth(self, record):
        """Whatever the record looks like; and it is not changed itself."""
        before = deepcopy(record)

        masked = mask("**.password")([record])[0]

        assert record == before
        assert all(value in ("***", None) for value in found("password", masked))
        assert (masked is record) == (not any(value not in ("***", None) for value in found("password", record)))


def found(name, value):
    """All values under *name*, but not inside of another one."""
    if isinstance(value, dict):
        own = [value[name]] if name in value else []
        return own + [one for key, part in value.items() if key != name for one in found(name, part)]
    return [one for part in value for one in found(name, part)] if isinstance(value, list) else []


@given(st.text(min_size=4, max_size=30), st.text(max_size=30), st.text(max_size=30))
def test_a_value_stands_nowhere_in_a_text(value, before, after):
    """As it is, as code writes it, or as JSON does."""
    for spelled in (value, repr(value), ascii(value), msgspec.json.encode(value).decode()):
        assert value not in without(f"{before}{spelled}{after}", [value]).replace("***", "")


@pytest.mark.parametrize("cut", [f"bad: {SECRET[:9]} [cut]", f"bad\n[cut]\n{SECRET[-9:]}' is bad"])
def test_what_a_cut_left_of_a_value_goes_too(cut):
    """A message is cut before anybody knows what is secret in it."""
    assert SECRET[:4] not in without(cut, [SECRET])
    assert SECRET[-4:] not in without(cut, [SECRET])


def refuse(record):
    raise ValueError(f"could not convert {record['password']!r} of {record['name']}")


def letters_of(dlq):
    return [(letter.record, letter.origin, letter.fidelity) for letter in dlq.all]


class TestLetters:
    async def test_the_store_the_log_and_the_news_get_the_masked_letter(self, flow, caplog):
        """With its record, its origin and its error masked; the record that others have is untouched."""
        dlq, told, record = flow.Store(), [], {"password": SECRET, "name": "me"}
        bound = flow.build(
            flow.Lists([record]), flow.Kept(), dlq=dlq, redactor=mask("password"), steps=lambda p: p.map(refuse)
        )

        with caplog.at_level(logging.DEBUG):
            await bound.run(context=RunContext(pipeline_id="p", run_id="1", announce=told.append))

        masked = {"password": "***", "name": "me"}
        assert letters_of(dlq) == [(masked, masked, Fidelity.LOSSY)]
        assert dlq.all[0].record is dlq.all[0].origin
        assert dlq.all[0].error.message == "could not convert '***' of me"
        assert [(letter.record, letter.error) for letter in told] == [(masked, dlq.all[0].error)]
        assert record["password"] == SECRET
        assert SECRET not in repr(dlq.all)
        assert SECRET not in "".join(str(vars(one)) for one in caplog.records)

    async def test_a_record_without_secrets_is_kept_as_it_is(self, flow):
        """The same object, and exact."""
        dlq, record = flow.Store(), {"password": None, "name": "me"}

        await flow.build(
            flow.Lists([record]), flow.Kept(), dlq=dlq, redactor=mask("password"), steps=lambda p: p.map(refuse)
        ).run()

        assert dlq.all[0].record is record
        assert dlq.all[0].fidelity is Fidelity.EXACT

    async def test_a_secret_that_a_stage_dropped_is_masked_in_the_origin(self, flow):
        """And the letter says that something was taken, though its record is whole."""
        dlq, origin = flow.Store(), {"password": SECRET, "name": "me"}

        def drop(record):
            return {"name": record["name"], "was": record["password"][::-1]}

        def fail(record):
            raise ValueError(record["was"][::-1])

        await flow.build(
            flow.Lists([origin]),
            flow.Kept(),
            dlq=dlq,
            redactor=mask("password"),
            snapshot=True,
            steps=lambda p: p.map(drop).map(fail),
        ).run()

        record = {"name": "me", "was": SECRET[::-1]}
        assert letters_of(dlq) == [(record, {"password": "***", "name": "me"}, Fidelity.LOSSY)]
        assert dlq.all[0].error.message == "***"

    async def test_what_a_source_could_not_read_goes_the_same_way(self, flow):
        """A raw line has no fields to tell apart: it is masked whole, and the error quotes no word of it."""
        dlq = flow.Store()
        bad = BadRecord(f'{{"password": "{SECRET}", "n": }}', ValueError(f"line 3: {SECRET!r} is followed by nonsense"))

        await flow.build(flow.Lists([bad]), flow.Kept(), dlq=dlq, redactor=mask("password")).run()

        (letter,) = dlq.all
        assert letter.record == "*** (38 characters)"
        assert letter.error.message == "line 3: '***' is followed by nonsense"
        assert (letter.origin, letter.fidelity) == (UNKNOWN, Fidelity.LOSSY)

    @pytest.mark.parametrize("batches", [True, False])
    async def test_a_record_that_a_sink_refuses(self, flow, batches):
        """Whether it takes lists or not."""
        dlq = flow.Store()
        record = {"password": SECRET, "name": "me"}

        class Sink:
            def write_batch(self, records):
                refuse(records[0])

        class Single:
            def write(self, record):
                refuse(record)

        await flow.build(
            flow.Lists([record]), Sink() if batches else Single(), dlq=dlq, redactor=mask("password")
        ).run()

        assert SECRET not in repr(dlq.all)
        assert dlq.all[0].fidelity is Fidelity.LOSSY

    async def test_the_record_that_ends_the_run_is_not_quoted_either(self, flow):
        """Neither where one too many dies nor where there is no store."""
        record = {"password": SECRET, "name": "me"}
        for options, error in (({"dlq": flow.Store(), "max_dead_per_run": 0}, TooManyDeadError), ({}, DeadLetterError)):
            with pytest.raises(error) as caught:
                await flow.build(
                    flow.Lists([record]),
                    flow.Kept(),
                    redactor=mask("password"),
                    steps=lambda p: p.map(refuse),
                    **options,
                ).run()

            assert "could not convert '***' of me" in str(caught.value)
            assert caught.value.__cause__ is None
            assert "in refuse" in caught.value.__notes__[0]
            assert SECRET not in str(caught.value) + caught.value.__notes__[0]

    async def test_without_a_redactor_the_cause_stays(self, flow):
        """The error that ended the run is there whole."""
        with pytest.raises(DeadLetterError) as caught:
            await flow.build(
                flow.Lists([{"password": SECRET, "name": "me"}]), flow.Kept(), steps=lambda p: p.map(refuse)
            ).run()

        assert isinstance(caught.value.__cause__, ValueError)


def raises(record):
    raise KeyError(record["password"])


def exits(record):
    raise SystemExit(record["password"])


async def later(record):
    return record


def forgets(record):
    return later(record)


@pytest.mark.parametrize("redactor", [raises, exits, lambda record: None, forgets])
async def test_a_redactor_that_fails_keeps_nothing_in_clear(flow, caplog, redactor):
    """Of the record only its type; the run goes on, and the log says so once, without the secret."""
    dlq, sink = flow.Store(), flow.Kept()
    records = [{"password": SECRET, "name": "me"}, {"password": SECRET, "name": "you"}, 3]

    with caplog.at_level(logging.DEBUG):
        summary = await flow.build(
            flow.Lists(records),
            sink,
            dlq=dlq,
            redactor=redactor,
            steps=lambda p: p.map(lambda r: r if r == 3 else refuse(r)),
        ).run()

    assert (summary.dead, sink.records) == (2, [3])
    for letter in dlq.all:
        assert letter.fidelity is Fidelity.OPAQUE
        assert letter.record["opaque"].startswith("the redactor failed: ")
        assert (letter.record["type"], letter.record["value"]) == ("dict", None)
        assert letter.origin is UNKNOWN
    logged = "".join(str(vars(one)) for one in caplog.records)
    assert logged.count("redactor failed; of such records only the type is kept") == 2  # its text, and its format
    assert SECRET not in logged + repr(dlq.all)


async def test_an_origin_beside_a_description_is_whole_or_not_known(flow):
    """A replay takes an origin that is known for exact, so a masked one is not kept beside a description."""
    dlq = flow.Store()

    def redactor(record):
        return raises(record) if "made" in record else {**record, "password": "***"}

    await flow.build(
        flow.Lists([{"password": SECRET, "name": "me"}]),
        flow.Kept(),
        dlq=dlq,
        redactor=redactor,
        snapshot=True,
        steps=lambda p: p.map(lambda r: {**r, "made": 1}).map(refuse),
    ).run()

    assert (dlq.all[0].fidelity, dlq.all[0].origin) == (Fidelity.OPAQUE, UNKNOWN)


async def test_a_record_of_too_many_values_costs_the_message(flow):
    """More than can be looked for in a text: then the text goes, and the rest of the letter stays."""
    dlq = flow.Store()
    record = {"secrets": [f"value {number}" for number in range(2000)], "password": SECRET, "name": "me"}

    await flow.build(
        flow.Lists([record]), flow.Kept(), dlq=dlq, redactor=mask("secrets"), steps=lambda p: p.map(refuse)
    ).run()

    error = dlq.all[0].error
    assert (error.type, error.traceback) == ("ValueError", "")
    assert error.message == "*** (what it says may quote what was taken out of the record)"


def test_a_redactor_lets_others_have_their_turn(flow):
    """A thousand slow ones do not stall the loop for a second."""
    turns = 0
    spent = []

    async def tick():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    def slow(record):
        spent.append(turns)
        end = asyncio.get_running_loop().time() + 0.002
        while asyncio.get_running_loop().time() < end:
            pass
        return record

    async def run():
        ticking = asyncio.create_task(tick())
        await flow.build(
            flow.Lists([{"password": SECRET, "name": "me"}] * 50),
            flow.Kept(),
            dlq=flow.Store(),
            redactor=slow,
            steps=lambda p: p.map(refuse),
        ).run()
        ticking.cancel()

    asyncio.run(run())

    assert len(set(spent)) >= 10


async def test_no_byte_of_a_secret_is_on_disk(flow, tmp_path):
    """Neither in the store's file nor in its write-ahead log, while it is open and after it was closed."""
    path = tmp_path / "dead.db"
    seen = []

    class Sink(flow.Kept):
        def close(self):
            seen.extend(one.read_bytes() for one in tmp_path.iterdir() if one.is_file())

    summary = await flow.build(
        flow.Lists([{"password": SECRET, "name": f"user {number}"} for number in range(50)]),
        Sink(),
        dlq=SqliteDlq(path),
        redactor=mask("password"),
        steps=lambda p: p.map(refuse),
    ).run()

    seen.extend(one.read_bytes() for one in tmp_path.iterdir() if one.is_file())
    assert summary.dead == 50
    assert any(b"user 49" in one for one in seen)
    assert not any(SECRET.encode() in one for one in seen)
