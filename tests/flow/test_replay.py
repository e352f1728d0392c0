"""Replaying dead letters: each once, by the right way, acknowledged after the sinks did."""

import asyncio
import logging
from dataclasses import replace
from datetime import timedelta

import pytest

from agora_core.flow.failures import failure_of
from agora_core.flow.pipeline import Pipeline
from agora_core.flow.replay import replay
from agora_core.flow.replay_summary import ReplayMode, ReplaySummary
from agora_core.spec.errors import ConfigError
from agora_core.spec.letters import UNKNOWN, DeadLetter, Fidelity, LetterQuery, LetterState

NO = ValueError("no")


@pytest.fixture
def store(flow):
    return flow.Store()


@pytest.fixture
def keep(store, flow):
    """Put a letter of the pipeline `pipeline` into the store."""

    def kept(record, stage="middleware:check", **more):
        letter = DeadLetter(
            uid=f"u{len(store.letters) + 1}",
            pipeline_id=more.pop("pipeline_id", "pipeline"),
            run_id="r",
            stage=stage,
            record=record,
            error=failure_of(ValueError("first")),
            first_failed_at=flow.noon,
            last_failed_at=flow.noon + timedelta(0),
            **more,
        )
        asyncio.run(store.put([letter]))

    return kept


def states(store):
    return [letter.state.value for letter in store.all]


def run(pipeline, store, **options) -> ReplaySummary:
    return asyncio.run(replay(pipeline, store, **options))


def check(record):
    if record < 0:
        raise ValueError(f"negative {record}")
    return record


def double_then_check(flow, *sinks, **config):
    return flow.build(
        flow.Lists([]), *sinks, steps=lambda p: p.map(lambda r: r * 2, name="double").map(check, name="check"), **config
    )


class TestWays:
    def test_auto_takes_the_sources_record_through_the_whole_chain(self, flow, store, keep):
        """Where it is known; else the record goes on at the stage that failed."""
        keep(6, origin=3)
        keep(7)
        sink = flow.Kept()

        summary = run(double_then_check(flow, sink), store)

        assert sink.records == [6, 7]
        assert (summary.selected, summary.replayed) == (2, 2)
        assert states(store) == ["replayed", "replayed"]

    def test_resume_enters_at_the_stage_that_failed(self, flow, store, keep):
        """Earlier stages are not called again."""
        keep(5, origin=3)
        keep(5, "middleware:double", origin=3)
        keep(-5, "sink_write", origin=3, sink="kept")
        sink = flow.Kept()

        run(double_then_check(flow, sink), store, mode=ReplayMode.RESUME)

        assert sorted(sink.records) == [-5, 5, 10]

    def test_pipeline_refuses_what_has_no_known_origin(self, flow, store, keep):
        """Nothing is guessed; the letter stays as it was, untried."""
        keep(5)
        keep(6, origin=3)
        sink = flow.Kept()

        summary = run(double_then_check(flow, sink), store, mode="pipeline")

        assert sink.records == [6]
        assert (summary.refused, summary.replayed) == (1, 1)
        assert summary.reasons == {"the source's record is not known; use mode 'resume'": 1}
        assert (store.all[0].state, store.all[0].attempts) == (LetterState.DEAD, 1)

    def test_sink_writes_straight_to_the_sink(self, flow, store, keep):
        """No stage is called; letters of other stages are refused."""
        keep(-5, "sink_write", origin=3, sink="kept")
        keep(5)
        sink = flow.Kept()

        summary = run(double_then_check(flow, sink), store, mode=ReplayMode.SINK)

        assert sink.records == [-5]
        assert (summary.replayed, summary.refused) == (1, 1)

    def test_a_refused_write_goes_only_to_the_sink_that_refused_it(self, flow, store, keep):
        """In every mode: the other sinks have the record."""
        keep(4, "sink_write", origin=2, sink="b")
        one, two = flow.Kept(name="a"), flow.Kept(name="b")

        run(double_then_check(flow, one, two), store)

        assert (one.records, two.records) == ([], [4])

    def test_a_stages_letter_goes_to_every_sink(self, flow, store, keep):
        """None of them has it yet."""
        keep(4)
        one, two = flow.Kept(name="a"), flow.Kept(name="b")

        run(double_then_check(flow, one, two), store)

        assert one.records == two.records == [4]

    def test_a_filtered_record_counts_as_replayed(self, flow, store, keep):
        """Filtering is an end on purpose."""
        keep(1, "middleware:odd")
        bound = flow.build(flow.Lists([]), flow.Kept(), steps=lambda p: p.filter(lambda r: r % 2 == 0, name="odd"))

        summary = run(bound, store)

        assert (summary.replayed, summary.filtered) == (1, 1)
        assert states(store) == ["replayed"]

    @pytest.mark.parametrize(
        ("stage", "more", "reason"),
        [
            ("source_record", {}, "only the source can"),
            ("middleware:check", {"fidelity": Fidelity.OPAQUE}, "only a description"),
            ("middleware:gone", {}, "no stage 'middleware:gone' any more"),
            ("sink_write", {"sink": "gone"}, "no sink 'gone' any more"),
        ],
    )
    def test_what_cannot_be_replayed_is_refused_with_the_reason(self, flow, store, keep, stage, more, reason):
        """And neither leased nor counted as tried."""
        keep(1, stage, **more)

        summary = run(double_then_check(flow, flow.Kept()), store)

        assert summary.refused == 1
        assert [reason in told for told in summary.reasons] == [True]
        assert store.all[0].attempts == 1

    def test_a_letter_in_the_store_is_not_changed_by_the_chain(self, flow, store, keep):
        """A stage that changes its record in place and fails again leaves the row as it was."""

        def spoil(record):
            record.clear()
            raise ValueError("again")

        keep({"a": 1}, "middleware:spoil", origin={"a": 1})

        run(flow.build(flow.Lists([]), flow.Kept(), steps=lambda p: p.map(spoil)), store)

        assert store.all[0].record == store.all[0].origin == {"a": 1}


class TestFailingAgain:
    def test_it_keeps_its_row_with_one_attempt_more(self, flow, store, keep):
        """The first failure stays, the latest stands beside it; the replay ends."""
        keep(-1)
        keep(2)

        summary = run(double_then_check(flow, flow.Kept()), store)

        letter = store.all[0]
        assert (summary.failed, summary.replayed, len(store.all)) == (1, 1, 2)
        assert (letter.state, letter.attempts) == (LetterState.DEAD, 2)
        assert (letter.error.message, letter.last_error.message) == ("first", "negative -1")

    def test_of_many_that_go_together_each_comes_to_its_own_end(self, flow, store, keep):
        """Written in order, filtered and failed ones between them, each under its own id."""
        for number in range(-3, 597):
            keep(number % 7 * (-1 if number % 50 == 0 else 1), "middleware:check")
        records = [letter.record for letter in store.all]
        sink = flow.Kept()

        summary = run(
            flow.build(
                flow.Lists([]),
                sink,
                steps=lambda p: p.map(check, name="check").filter(lambda r: r != 5, name="not five"),
            ),
            store,
        )

        expected = ["dead" if record < 0 else "replayed" for record in records]
        assert states(store) == expected
        assert sink.records == [record for record in records if record >= 0 and record != 5]
        assert summary.filtered == records.count(5)
        assert summary.failed == expected.count("dead") > 1
        assert {letter.last_error.message for letter in store.all if letter.last_error} == {
            f"negative {record}" for record in records if record < 0
        }

    def test_one_record_that_a_list_dies_of_fails_no_other(self, flow, store, keep):
        """A stage that takes lists is given one letter at a time."""

        class Lists:
            def process_batch(self, records):
                return [check(record) for record in records]

        for number in (1, -2, 3):
            keep(number, "middleware:lists")
        sink = flow.Kept()

        run(flow.build(flow.Lists([]), sink, steps=lambda p: p.pipe(Lists())), store)

        assert sink.records == [1, 3]
        assert states(store) == ["replayed", "dead", "replayed"]

    def test_a_stop_while_a_stage_is_slow_leaves_the_rest_untried(self, flow, store, keep):
        """What waits behind the record that is in the stage is not given to it."""
        for number in range(20):
            keep(number)
        seen = []

        async def replaying():
            stop = asyncio.Event()

            async def slow(record):
                seen.append(record)
                await asyncio.sleep(0.01)
                if record == 2:
                    stop.set()
                return record

            bound = flow.build(flow.Lists([]), flow.Kept(), steps=lambda p: p.map(slow, name="check"))
            return await replay(bound, store, stop=stop)

        summary = asyncio.run(replaying())

        assert seen == [0, 1, 2]
        assert summary.untried == 20
        assert {letter.attempts for letter in store.all} == {1}

    def test_a_sink_that_refuses_again_keeps_the_row(self, flow, store, keep):
        """Records of the same lease that are accepted are replayed."""
        for number in range(120):
            keep(number, "sink_write", sink="kept_lists")
        sink = flow.KeptLists({77: NO}, atomic=True)

        summary = run(flow.build(flow.Lists([]), sink), store)

        assert (summary.selected, summary.replayed, summary.failed) == (120, 119, 1)
        assert sink.records == [n for n in range(120) if n != 77]

    def test_one_of_two_sinks_that_refuses_gets_a_row_of_its_own(self, flow, store, keep):
        """The sink that took the record never gets it again."""
        keep(4)
        one, two = flow.Kept(name="a"), flow.Kept({4: NO}, name="b")

        first = run(double_then_check(flow, one, two), store)
        two.refuses = {}
        second = run(double_then_check(flow, one, two), store)

        assert (first.failed, second.replayed) == (1, 1)
        assert (one.records, two.records) == ([4], [4])
        old, new = store.all
        assert (old.state, new.state) == (LetterState.REPLAYED, LetterState.REPLAYED)
        assert (new.stage, new.sink, new.uid) == ("sink_write", "b", "u1-b")

    def test_a_letter_that_was_tried_too_often_is_parked(self, flow, store, keep):
        """The stages are not called with it any more."""
        keep(-1)
        counts = [run(double_then_check(flow, flow.Kept()), store, max_attempts=3) for _ in range(4)]

        assert [(summary.failed, summary.parked) for summary in counts] == [(1, 0), (1, 0), (0, 1), (0, 0)]
        assert states(store) == ["parked"]
        assert store.all[0].note == "tried 3 times"

    @pytest.mark.parametrize("place", ["write", "flush"])
    def test_a_sink_that_is_down_ends_the_replay(self, flow, store, keep, place, cpu):
        """Its letters are given back untried, those before it stay replayed."""
        for number in range(60):
            keep(number, "sink_write", sink="down")

        class Down:
            calls = 0

            def write(self, record):
                if place == "write" and record == 55:
                    raise ConnectionRefusedError("down")

            def flush(self):
                self.calls += 1
                if place == "flush" and self.calls == 2:
                    raise ConnectionRefusedError("down")

        with pytest.raises(ConnectionRefusedError):
            run(flow.build(flow.Lists([]), Down()), store)

        assert states(store) == ["replayed"] * 50 + ["dead"] * 10
        assert {letter.attempts for letter in store.all[50:]} == {1}


class TestBounds:
    def test_letters_that_die_meanwhile_are_not_replayed(self, flow, store, keep):
        """The greatest id at the start is the end."""
        keep(1)

        class Growing(flow.Kept):
            def write(self, record):
                store.letters[2] = replace(store.letters[1], id=2, uid="u2", state=LetterState.DEAD)

        summary = run(double_then_check(flow, Growing()), store)

        assert summary.selected == 1
        assert states(store) == ["replayed", "dead"]

    def test_only_what_was_asked_for_is_replayed(self, flow, store, keep):
        """By stage, by error, by limit; and never another pipeline's."""
        keep(1)
        keep(2, "middleware:double")
        keep(3, pipeline_id="other")
        keep(4)
        keep(5)
        sink = flow.Kept()

        summary = run(double_then_check(flow, sink), store, query=LetterQuery(stage="middleware:check"), limit=2)

        assert sink.records == [1, 4]
        assert (summary.selected, summary.replayed) == (2, 2)

    def test_another_id_can_be_asked_for(self, flow, store, keep):
        """A scheduled pipeline's letters bear the schedule's id."""
        keep(3, pipeline_id="other")
        sink = flow.Kept()

        run(double_then_check(flow, sink), store, query=LetterQuery(pipeline_id="other", up_to_id=99))

        assert sink.records == [3]

    def test_letters_that_another_replay_took_are_left_to_it(self, flow, store, keep):
        """Neither is handled twice."""
        keep(1)
        keep(2)
        store.letters[1] = replace(store.letters[1], state=LetterState.LEASED)
        sink = flow.Kept()

        summary = run(double_then_check(flow, sink), store)

        assert sink.records == [2]
        assert (summary.selected, summary.taken, summary.replayed) == (2, 1, 1)
        assert summary.taken_until is None

    def test_it_tells_when_the_last_of_the_leases_of_others_ends(self, flow, store, keep):
        """A replay that was killed has its letters until then."""
        for number, minutes in enumerate((5, 10, 7), start=1):
            keep(number)
            until = flow.noon + timedelta(minutes=minutes)
            store.letters[number] = replace(store.letters[number], state=LetterState.LEASED, lease_until=until)

        summary = run(double_then_check(flow, flow.Kept()), store)

        assert (summary.taken, summary.taken_until) == (3, flow.noon + timedelta(minutes=10))

    def test_progress_is_told_after_each_lease(self, flow, store, keep, cpu):
        """With the counts so far."""
        for number in range(70):
            keep(number)
        told = []

        run(double_then_check(flow, flow.Kept()), store, on_progress=lambda summary: told.append(summary.replayed))

        assert told == [50, 70]

    def test_a_lease_that_was_lost_shows_in_the_log(self, flow, store, keep, caplog):
        """The write took longer than the lease: somebody else may have the letter."""
        keep(1)

        async def resolve(ids, *, token, state, run_id=""):
            return 0

        store.resolve = resolve

        with caplog.at_level(logging.WARNING):
            run(double_then_check(flow, flow.Kept()), store)

        assert [record.message for record in caplog.records] == ["leases ended before the letters were written"]


class TestRefusedQueries:
    @pytest.mark.parametrize(
        ("options", "words"),
        [
            (
                {"query": LetterQuery(stage="middleware:chek")},
                "no stage 'middleware:chek'; known: source_record, middleware:double",
            ),
            ({"query": LetterQuery(stage="middleware:chek")}, "did you mean 'middleware:check'"),
            (
                {"query": LetterQuery(stage="middleware:check"), "mode": "sink"},
                "mode 'sink' replays letters of the stage",
            ),
            ({"query": LetterQuery(states=(LetterState.PARKED,))}, "only letters in the state 'dead'"),
            ({"mode": "straight"}, "no replay mode 'straight'; known: auto, pipeline, resume, sink"),
            ({"limit": 0}, "limit must be"),
            ({"max_attempts": True}, "max_attempts must be"),
        ],
    )
    def test_nonsense_is_refused_before_anything_is_opened(self, flow, store, options, words):
        """With what is known."""
        with pytest.raises(ConfigError) as raised:
            run(double_then_check(flow, flow.Kept()), store, **options)

        assert words in str(raised.value)
        assert store.events == []

    def test_a_sink_that_replaces_its_output_is_refused(self, flow, store):
        """A replay would leave nothing in it but the replayed records."""

        class Replacing(flow.Kept):
            def abort(self): ...

        with pytest.raises(ConfigError, match="sink 'replacing' replaces its whole output"):
            run(flow.build(flow.Lists([]), Replacing()), store)


class TestLifecycle:
    def test_parts_are_opened_and_closed_but_not_the_source(self, flow, store, keep):
        """The store too, whose opens are counted."""
        events = store.events

        class Sink(flow.Kept):
            def open(self):
                events.append("open sink")

            def flush(self):
                events.append("flush")

            def close(self):
                events.append("close sink")

        keep(1)
        events.clear()

        run(double_then_check(flow, Sink()), store)

        assert events == ["open sink", "open dlq", "flush", "resolve 1 replayed", "close sink", "close dlq"]

    def test_middlewares_are_opened_too(self, flow, store, keep):
        """A stage works in a replay as in a run."""

        class Opened:
            ready = False

            def open(self):
                self.ready = True

            def process(self, record):
                assert self.ready
                return record

        keep(1, "middleware:opened")
        sink = flow.Kept()

        run(Pipeline(flow.Lists([])).pipe(Opened()).build(sink), store)

        assert sink.records == [1]

    @pytest.mark.parametrize("place", ["write", "lease"])
    def test_a_replay_that_is_cut_gives_its_leases_back(self, flow, store, keep, place):
        """At once, untried, whether it was writing or only leasing."""
        for number in range(3):
            keep(number, "sink_write", sink="hung")

        class Hung:
            async def write(self, record):
                await asyncio.Event().wait()

        async def go():
            task = asyncio.create_task(replay(flow.build(flow.Lists([]), Hung()), store))
            if place == "lease":
                store.on_lease = task.cancel
            else:
                await asyncio.sleep(1)
                task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        flow.virtual(go())

        assert states(store) == ["dead"] * 3
        assert {letter.attempts for letter in store.all} == {1}
        assert store.opens == 0

    def test_leases_that_cannot_be_given_back_do_not_hide_the_failure(self, flow, store, keep, caplog):
        """They end by themselves; the log says so."""
        keep(1, "sink_write", sink="kept")

        async def give_back(failed, *, token):
            await asyncio.Event().wait()

        store.give_back = give_back

        with pytest.raises(ConnectionError):
            flow.virtual(replay(flow.build(flow.Lists([]), flow.Kept({1: ConnectionError()})), store))

        assert [record.message for record in caplog.records] == ["leases were not given back"]

    def test_dropped_outside_a_loop_it_awaits_nothing(self, flow, store, keep):
        """As a run does."""
        keep(1, "sink_write", sink="hung")

        class Hung:
            async def open(self):
                await asyncio.Event().wait()

            def write(self, record): ...

        async def go():
            work = replay(flow.build(flow.Lists([]), Hung()), store)
            work.send(None)
            return work

        asyncio.run(go()).close()

    def test_what_a_run_kept_a_replay_writes(self, flow, store):
        """From end to end: after the mend, every record is in the sink once, and nothing is dead."""
        broken = {3, 7}

        def mend(record):
            if record in broken:
                raise ValueError(record)
            return record

        sink = flow.Kept()
        bound = flow.build(flow.Stream(range(10)), sink, dlq=store, steps=lambda p: p.map(mend))

        asyncio.run(bound.run())
        broken.clear()
        summary = run(bound, store)

        assert sorted(sink.records) == list(range(10))
        assert summary == ReplaySummary(selected=2, replayed=2)
        assert all(letter.origin is not UNKNOWN for letter in store.all)
