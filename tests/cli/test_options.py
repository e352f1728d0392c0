"""Moments and rates as people write them, and the ways to show a replay's progress."""

from datetime import UTC, datetime, timedelta

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agora_core.cli import replay_progress
from agora_core.cli.options import Moment, Rate
from agora_core.cli.replay_bar import bar
from agora_core.flow.replay_summary import ReplaySummary


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2018-02-07", datetime(2018, 2, 7, tzinfo=UTC)),
        ("2018-02-07T10:30:00Z", datetime(2018, 2, 7, 10, 30, tzinfo=UTC)),
        ("2018-02-07 10:30+02:00", datetime(2018, 2, 7, 8, 30, tzinfo=UTC)),
    ],
)
def test_a_moment(text, moment):
    """ISO 8601; without a zone it is UTC."""
    assert Moment().convert(text, None, None) == moment


@given(number=st.integers(0, 1000), unit=st.sampled_from("smhdw"))
def test_a_span_ago(number, unit):
    """`90s`, `2h`, `7d` are that long ago."""
    seconds = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}[unit]
    before = datetime.now(UTC)

    ago = Moment().convert(f"{number}{unit}", None, None)

    assert timedelta(0) <= ago - (before - timedelta(seconds=number * seconds)) < timedelta(minutes=1)


@pytest.mark.parametrize("text", ["", "soon", "2018-13-01", "-1h", "9" * 30 + "w", "1y"])
def test_no_moment(text):
    """Anything else is refused with examples."""
    with pytest.raises(click.BadParameter, match="is no moment; write 2018-02-07"):
        Moment().convert(text, None, None)


@pytest.mark.parametrize(("text", "rate"), [("100/s", 100), ("6000/m", 100), ("1.5", 1.5), ("3600/h", 1)])
def test_a_rate(text, rate):
    """So many in a second, a minute, an hour."""
    assert Rate().convert(text, None, None) == rate


@pytest.mark.parametrize("text", ["0", "0/s", "-1", "fast", "1/d", "nan", "inf"])
def test_no_rate(text):
    """Nothing, less than nothing and words are refused."""
    with pytest.raises(click.BadParameter, match="is no rate"):
        Rate().convert(text, None, None)


def test_values_that_are_converted_already_stay():
    """click converts defaults twice."""
    now = datetime.now(UTC)
    assert Moment().convert(now, None, None) is now
    assert Rate().convert(2.0, None, None) == 2.0


def test_progress_in_lines(monkeypatch, capsys):
    """On a terminal without rich a line is printed every two seconds at most."""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setattr(replay_progress, "find_spec", lambda name: None)
    times = iter([0.0, 1.0, 2.5, 2.5, 3.0])
    monkeypatch.setattr(replay_progress, "monotonic", lambda: next(times))
    with replay_progress.progress("ingest", 1000, quiet=False) as tell:
        for replayed in (10, 20, 30):
            tell(ReplaySummary(selected=50, replayed=replayed, failed=5))

    assert capsys.readouterr().err == "ingest: 25 of 1,000 dead letters\n"


def test_progress_can_be_silent(capsys):
    """Beside JSON nothing is shown."""
    with replay_progress.progress("ingest", 10, quiet=True) as tell:
        tell(ReplaySummary(selected=10, replayed=10))

    assert capsys.readouterr().err == ""


def test_progress_on_a_terminal(monkeypatch):
    """On a terminal with rich there is a bar."""
    pytest.importorskip("rich")
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    with replay_progress.progress("ingest", 10, quiet=False) as tell:
        tell(ReplaySummary(selected=10, replayed=10))
    with bar("ingest", 10) as tell:
        tell(ReplaySummary(selected=10, replayed=10))
