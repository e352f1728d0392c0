"""Where the pipelines of a simulation meet: what is limited, and by what the real pool admits runs to it."""

from collections.abc import Mapping, Sequence
from heapq import heapify, heappop, heappush
from itertools import count

from agora_core.runner.admission import Admission, Ticket
from agora_core.runner.lanes import Lane
from agora_core.spec.resources import PROCESS

_NEVER = 1 << 62


class Junction:
    """Lets *lanes* set off within the limits, each in its turn; of those due at one instant the first here is first.

    Where their priorities differ, these say who of them is first. Lanes that nothing can keep waiting go
    their ways alone: what suffices for all of them at one time is no limit.
    """

    def __init__(self, lanes: Sequence[Lane], places: int | None, capacities: Mapping[str, int]) -> None:
        scarce = {name: amount for name, amount in capacities.items() if amount < _most_of(lanes, name)}
        places = None if places is None or places >= len(lanes) else places
        self._needs = {lane.id: {name: need for name, need in lane.needs.items() if name in scarce} for lane in lanes}
        self.lanes = [lane for lane in lanes if places is not None or self._needs[lane.id]]
        """Those that meet here."""
        self._admission: Admission[Lane] = Admission(places, scarce, last=PROCESS)
        self._tells = bool(scarce)
        self._is_ranked = len({lane.priority for lane in lanes}) > 1
        self._numbers = count()
        self._due = [(lane.due, next(self._numbers), lane) for lane in self.lanes if lane.due is not None]
        self._ends: list[tuple[int, int, Ticket[Lane]]] = []
        heapify(self._due)

    def advance(self, until: int) -> None:
        """Do all that is before *until*.

        At one instant, as in the pool, first what is due looks for a place, then what ends gives its own back, and then
        those have their turn that wait; what is due again at once comes after them.
        """
        due, ends = self._due, self._ends
        while True:
            at = due[0][0] if due else _NEVER
            if ends and ends[0][0] < at:
                at = ends[0][0]
            if at >= until:
                return
            if self._is_ranked:
                self._gather(at)
            while due and due[0][0] == at:
                self._enter(heappop(due)[2], at)
            if ends and ends[0][0] == at:
                while ends and ends[0][0] == at:
                    self._end(heappop(ends)[2], at)
                self._let_in(at)

    def _gather(self, at: int) -> None:
        """Have all runs that are due *at* that instant ask for a place before the first of them gets one."""
        asked = []
        while self._due and self._due[0][0] == at:
            lane = heappop(self._due)[2]
            asked.append(self._admission.ask(lane, self._needs[lane.id], lane.priority))
        self._let_in(at)
        for ticket in asked:
            if ticket.is_waiting:
                ticket.owner.queue(at, ticket.lacks)

    def _enter(self, lane: Lane, at: int) -> None:
        """Have the run of *lane* that is due begin, or be queued."""
        ticket = self._admission.enter(lane, self._needs[lane.id], lane.priority)
        if ticket.is_waiting:
            lane.queue(at, ticket.lacks)
        else:
            heappush(self._ends, (lane.set_off(at), next(self._numbers), ticket))
        if self._tells:
            self._tell_stirred(at)

    def _end(self, ticket: Ticket[Lane], at: int) -> None:
        """Have the run that has *ticket* end, and its pipeline wait for the next one."""
        self._admission.leave(ticket)
        due = ticket.owner.arrive(at)
        if due is not None:
            heappush(self._due, (due, next(self._numbers), ticket.owner))

    def _let_in(self, at: int) -> None:
        """Have those begin whose turn it is."""
        while (ticket := self._admission.admit()) is not None:
            heappush(self._ends, (ticket.owner.set_off(at), next(self._numbers), ticket))
        if self._tells:
            self._tell_stirred(at)

    def _tell_stirred(self, at: int) -> None:
        """Tell the lanes whose runs wait for something else from now on."""
        for ticket in self._admission.stirred():
            ticket.owner.queue(at, ticket.lacks)


def _most_of(lanes: Sequence[Lane], name: str) -> int:
    """Return how much of the resource all lanes take together: none has more than one run at a time."""
    return sum(lane.needs.get(name, 0) for lane in lanes)
