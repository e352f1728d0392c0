"""The records inside a stage that is in several at a time: which may leave, and how far the source is through."""

from collections import deque
from collections.abc import Sequence
from itertools import islice, takewhile

from agora_core.flow.tickets import Span, Ticket
from agora_core.spec.letters import UNKNOWN, NoRecord
from agora_core.spec.records import Position

_ROOM_FOR_SPANS = 64


class Window:
    """Tickets in the order of the source; they leave in that order too, or as they are done where it is not *ordered*.

    The source's position is known at the ends of spans only, and counts once all before it has left. What has left
    since then is doubled by a crash. So that this is never more than a batch, an ordered window lets tickets leave up
    to such an end where there is one.
    """

    def __init__(self, *, ordered: bool) -> None:
        self._ordered = ordered
        self._inside: deque[Ticket] = deque()
        """Where the order matters: all that have not left."""
        self._done: deque[Ticket] = deque()
        """Where it does not: those that may leave."""
        self._spans: deque[Span] = deque()
        """From the first record that has not left on; only of the last of them the position may be unknown yet."""
        self._most_spans = _ROOM_FOR_SPANS

    @property
    def may_leave(self) -> bool:
        """Whether there is a ticket that may leave."""
        return bool(self._inside and self._inside[0].is_done) if self._ordered else bool(self._done)

    def enter(self, tickets: Sequence[Ticket], position: Position | NoRecord) -> None:
        """Take *tickets* in, behind which the source stands at *position*."""
        span = self._open_span()
        span.count += len(tickets)
        span.inside += len(tickets)
        span.position = position
        if self._ordered:
            self._inside += tickets
        else:
            for ticket in tickets:
                ticket.span = span

    def done(self, ticket: Ticket) -> None:
        """Take down that *ticket* has been through the stage."""
        ticket.is_done = True
        if not self._ordered:
            self._done.append(ticket)

    def leave(self, most: int) -> tuple[list[Ticket], Position | NoRecord]:
        """Return at most *most* tickets that leave, and the position up to which now all have left, where it is new."""
        tickets = self._first(most) if self._ordered else self._any(most)
        return tickets, self._passed()

    def _any(self, most: int) -> list[Ticket]:
        tickets = [self._done.popleft() for _ in range(min(most, len(self._done)))]
        for ticket in tickets:
            ticket.span.inside -= 1
        return tickets

    def _first(self, most: int) -> list[Ticket]:
        done = sum(1 for _ in takewhile(_is_done, islice(self._inside, most)))
        tickets = [self._inside.popleft() for _ in range(self._cut(done, most))]
        left = len(tickets)
        for span in self._spans:
            leaving = min(left, span.inside)
            span.inside -= leaving
            left -= leaving
            if not left:
                break
        return tickets

    def _cut(self, done: int, most: int) -> int:
        """Return how many of the first tickets leave, of which *done* may.

        They end with the last span that keeps what is to be doubled within *most*, else with the first, which came from
        the source in one piece; where no span ends among them, all leave.
        """
        cut = end = 0
        for span in self._spans:
            end += span.inside
            if isinstance(span.position, NoRecord) or end > done:
                break
            left_before = self._spans[0].count - self._spans[0].inside
            if cut and left_before + end > most:
                break
            cut = end
        return cut or done

    def _passed(self) -> Position | NoRecord:
        """Forget the spans that have left, and return the position behind the last of them."""
        position: Position | NoRecord = UNKNOWN
        while self._spans and not (self._spans[0].inside or isinstance(self._spans[0].position, NoRecord)):
            position = self._spans.popleft().position
        return position

    def _open_span(self) -> Span:
        """Return the span that goes on with the next ticket."""
        if not self._spans or not isinstance(self._spans[-1].position, NoRecord):
            self._merge()
            self._spans.append(Span())
        return self._spans[-1]

    def _merge(self) -> None:
        """Forget the ends that nobody will ask for, or one slow record would have all that overtake it remembered."""
        if len(self._spans) < self._most_spans:
            return
        followers = [*islice(self._spans, 1, None), None]
        useful = [
            span
            for span, next_one in zip(self._spans, followers, strict=True)
            if next_one is None or span.inside or next_one.inside
        ]
        self._spans = deque(useful)
        self._most_spans = 2 * len(useful) + _ROOM_FOR_SPANS


def _is_done(ticket: Ticket) -> bool:
    return ticket.is_done
