"""What is made of a pipeline's status is made again only when the pipeline has changed."""

import gc
import weakref
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from agora_core.spec.health import PipelineState, PipelineStatus
from agora_core.spec.status_cache import StatusCache

ONE, OTHER = (PipelineStatus(id=name, schedule="once", runs={}) for name in ("one", "other"))


def line(status):
    return f"{status.id} {status.state} {status.consecutive_errors}"


def test_it_is_made_once_for_each_status():
    """The same status twice is one making; a new one is another."""
    made = []
    cache = StatusCache(lambda status: made.append(status) or line(status))
    changed = replace(ONE, state=PipelineState.RUNNING)

    got = [cache.get(status) for status in (ONE, OTHER, ONE, changed, changed)]

    assert got == ["one registered 0", "other registered 0", "one registered 0", "one running 0", "one running 0"]
    assert made == [ONE, OTHER, changed]


def test_a_status_that_was_built_anew_and_is_equal_is_the_same():
    """An engine that reads its statuses from elsewhere makes new objects at every request."""
    made = []
    cache = StatusCache(made.append)

    cache.of([ONE])
    cache.of([replace(ONE)])

    assert len(made) == 1


def test_what_is_gone_is_forgotten():
    """A pipeline that is no longer told of leaves nothing behind."""

    class Text(str):
        __slots__ = ("__weakref__",)

    cache = StatusCache(lambda status: Text(line(status)))
    kept = [weakref.ref(text) for text in cache.of([ONE, OTHER])]

    cache.of([OTHER])
    gc.collect()

    assert [text() for text in kept] == [None, "other registered 0"]


def test_one_that_cannot_be_made_is_made_the_next_time():
    """An error is not kept, and costs the others nothing."""
    refused = [True]

    def make(status):
        if status is OTHER and refused:
            raise ValueError(refused.pop())
        return line(status)

    cache = StatusCache(make)
    try:
        cache.of([ONE, OTHER])
    except ValueError:
        again = cache.of([ONE, OTHER])

    assert again == ["one registered 0", "other registered 0"]


statuses = st.builds(
    PipelineStatus,
    id=st.sampled_from("abcd"),
    schedule=st.just("once"),
    state=st.sampled_from(PipelineState),
    consecutive_errors=st.integers(0, 2),
)


@given(st.lists(st.lists(statuses, max_size=4, unique_by=lambda status: status.id), max_size=8))
def test_it_says_what_would_be_made_now(rounds):
    """Whatever it was asked before."""
    cache = StatusCache(line)

    for round_ in rounds:
        assert cache.of(round_) == [line(status) for status in round_]
