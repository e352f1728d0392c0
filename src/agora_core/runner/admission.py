"""Which run may start next where places and resources are limited: queues of values, no clock and no loop.

Runs are ordered by priority, then by arrival. What is free of a resource is set aside in that order: for the first who
waits for it, then for the next, as far as it goes, and never for one behind somebody for whom it does not suffice. A
run may start when all that it needs is set aside for it and there is a place; a free place goes to the first such run.
One resource may be the last: it is set aside for those alone who have all others, as a place would be.

So nothing is held while something else is waited for, and there is no deadlock; a big need is not overtaken at its
resource by the small ones that came later; and who waits for one resource keeps no place, and nothing of the last one,
from those who need others. What was set aside is taken back for a higher priority, what runs keeps what it has.
"""

from bisect import bisect_left, insort
from collections.abc import Mapping
from heapq import heapify, heappop, heappush
from typing import Generic, TypeAlias, TypeVar

Owner = TypeVar("Owner")

_Order: TypeAlias = tuple[int, int]
"""The priority, negated, and the number of the arrival: less is earlier, and no two are equal."""

_NONE: frozenset[str] = frozenset()


class Ticket(Generic[Owner]):
    """The wish of *owner* to run: what it needs, and what of that it still lacks."""

    __slots__ = ("is_asking", "is_gone", "is_listed", "is_waiting", "lacks", "needs", "order", "owner")

    def __init__(
        self, owner: Owner, needs: Mapping[str, int], order: _Order, lacks: frozenset[str], *, is_waiting: bool
    ) -> None:
        self.owner = owner
        self.needs = needs
        self.order = order
        self.lacks = lacks
        """The resources that are not set aside for it; while it waits without any, it waits for a place.

        The last one is among them once it is alone.
        """
        self.is_waiting = is_waiting
        """Whether it is neither admitted nor gone."""
        self.is_gone = False
        self.is_listed = False
        """Whether it stands among those that lack a place alone."""
        self.is_asking = False
        """Whether it stands, or stood until something was taken back, among those that lack the last resource alone."""


class _Queue(Generic[Owner]):
    """Tickets, the first in their order first; those that are gone are dropped when they come up, or are many."""

    __slots__ = ("_gone", "_heap")

    def __init__(self) -> None:
        self._heap: list[tuple[_Order, Ticket[Owner]]] = []
        self._gone = 0

    def __bool__(self) -> bool:
        return bool(self._heap)

    def put(self, ticket: Ticket[Owner]) -> None:
        heappush(self._heap, (ticket.order, ticket))

    def first(self) -> Ticket[Owner] | None:
        while self._heap:
            ticket = self._heap[0][1]
            if ticket.is_waiting:
                return ticket
            heappop(self._heap)
            self._gone -= 1
        return None

    def pop(self) -> None:
        heappop(self._heap)

    def forget_one(self) -> None:
        """Note that one of the tickets in here is gone."""
        self._gone += 1
        if 2 * self._gone > len(self._heap) + 64:
            self._heap = [entry for entry in self._heap if entry[1].is_waiting]
            heapify(self._heap)
            self._gone = 0


class _Line(Generic[Owner]):
    """Those who wait for one resource: first the ones for whom it is set aside, then all others."""

    __slots__ = ("aside", "behind", "is_last", "name", "spare")

    def __init__(self, name: str, capacity: int, *, is_last: bool) -> None:
        self.name = name
        self.is_last = is_last
        self.spare = capacity
        """What is neither in use nor set aside."""
        self.aside: list[tuple[_Order, Ticket[Owner]]] = []
        self.behind: _Queue[Owner] = _Queue()

    def join(self, ticket: Ticket[Owner]) -> list[Ticket[Owner]]:
        """Let *ticket* wait here; return those from whom what was set aside had to be taken back for it."""
        robbed = []
        need = ticket.needs[self.name]
        while self.spare < need and self.aside and self.aside[-1][0] > ticket.order:
            _, last = self.aside.pop()
            self.spare += last.needs[self.name]
            last.lacks |= {self.name}
            self._put(last)
            robbed.append(last)
        self._put(ticket)
        return robbed

    def set_aside(self) -> list[Ticket[Owner]]:
        """Set aside what is spare; return those who got something."""
        served = []
        while (ticket := self._first()) is not None and ticket.needs[self.name] <= self.spare:
            self.behind.pop()
            if self.is_last:
                ticket.is_asking = False
            self.spare -= ticket.needs[self.name]
            insort(self.aside, (ticket.order, ticket))
            ticket.lacks -= {self.name}
            served.append(ticket)
        return served

    def remove(self, ticket: Ticket[Owner]) -> None:
        """Let *ticket*, for whom it is set aside, wait here no longer."""
        del self.aside[bisect_left(self.aside, (ticket.order,))]  # which is less than any longer tuple

    def _put(self, ticket: Ticket[Owner]) -> None:
        if self.is_last:
            if ticket.is_asking:
                return
            ticket.is_asking = True
        self.behind.put(ticket)

    def _first(self) -> Ticket[Owner] | None:
        """Return the first to whom nothing is given yet; who lacks another resource again does not stand here."""
        ticket = self.behind.first()
        while self.is_last and ticket is not None and self.name not in ticket.lacks:
            self.behind.pop()
            ticket.is_asking = False
            ticket = self.behind.first()
        return ticket


class Admission(Generic[Owner]):
    """Admits runs as *places* (None: as many as come) and the *capacities* of resources allow, one of them the *last*.

    Each call costs the logarithm of how many wait, and nothing for each of them.
    """

    def __init__(self, places: int | None, capacities: Mapping[str, int], last: str = "") -> None:
        self._places = places
        self._lines: dict[str, _Line[Owner]] = {
            name: _Line(name, amount, is_last=name == last) for name, amount in capacities.items()
        }
        self._last, self._only_last = last, frozenset((last,))
        self._ready: _Queue[Owner] = _Queue()
        self._newest = 0
        self._stirred: dict[Ticket[Owner], None] = {}

    def enter(self, owner: Owner, needs: Mapping[str, int], priority: int) -> Ticket[Owner]:
        """Admit *owner* where it may start at once, else let it wait.

        Nobody else may be able to start: `admit` must have said so since anybody has left.
        """
        if self._places != 0 and (not needs or self._is_free(needs)):
            self._newest += 1
            for name, need in needs.items():
                self._lines[name].spare -= need
            if self._places is not None:
                self._places -= 1
            return Ticket(owner, needs, (-priority, self._newest), _NONE, is_waiting=False)
        ticket = self.ask(owner, needs, priority)
        self.admit()  # it alone can be one who may start
        return ticket

    def ask(self, owner: Owner, needs: Mapping[str, int], priority: int) -> Ticket[Owner]:
        """Let *owner* wait for its turn; its *needs* must be within the capacities."""
        self._newest += 1
        lacks = frozenset(needs) - self._only_last if needs else _NONE
        ticket = Ticket(owner, needs, (-priority, self._newest), lacks, is_waiting=True)
        for name in needs:
            if name != self._last:
                self._join(name, ticket)
        if not lacks:
            self._has_the_others(ticket)
        return ticket

    def admit(self) -> Ticket[Owner] | None:
        """Return the next that may start now and counts as running from here on, or None."""
        while self._places != 0 and (ticket := self._ready.first()) is not None:
            self._ready.pop()
            ticket.is_listed = False
            if ticket.lacks:
                continue  # it was taken back; when it is set aside again, the ticket is listed again
            ticket.is_waiting = False
            for name in ticket.needs:
                self._lines[name].remove(ticket)
            if self._places is not None:
                self._places -= 1
            return ticket
        return None

    def leave(self, ticket: Ticket[Owner]) -> None:
        """Give back what *ticket* has, be it in use or set aside; it waits no longer."""
        was_waiting, lacked = ticket.is_waiting, ticket.lacks
        if ticket.is_gone:
            return
        ticket.is_gone, ticket.is_waiting = True, False
        if ticket.is_listed:
            self._ready.forget_one()
        if not was_waiting and self._places is not None:
            self._places += 1
        for name, need in ticket.needs.items():
            line = self._lines[name]
            if name in lacked or (lacked and line.is_last):
                if ticket.is_asking or not line.is_last:
                    line.behind.forget_one()
            else:
                line.spare += need
                if was_waiting:
                    line.remove(ticket)
            if line.behind:
                self._serve(name)

    def stirred(self) -> list[Ticket[Owner]]:
        """Return those that wait for something else than when they were last looked at here."""
        if not self._stirred:
            return []
        found = [ticket for ticket in self._stirred if ticket.is_waiting]
        self._stirred = {}
        return found

    def _is_free(self, needs: Mapping[str, int]) -> bool:
        """Return whether there is enough of all that is needed, and nobody waits for any of it."""
        for name, need in needs.items():
            line = self._lines[name]
            if need > line.spare or line.behind:
                return False
        return True

    def _join(self, name: str, ticket: Ticket[Owner]) -> None:
        for robbed in self._lines[name].join(ticket):
            self._stirred[robbed] = None
            if name != self._last and self._last in robbed.needs:
                self._take_back_last(robbed)
        self._serve(name)

    def _serve(self, name: str) -> None:
        for ticket in self._lines[name].set_aside():
            self._stirred[ticket] = None
            if name == self._last:
                self._list(ticket)
            elif not ticket.lacks:
                self._has_the_others(ticket)

    def _has_the_others(self, ticket: Ticket[Owner]) -> None:
        """Have *ticket* wait for the last resource or, where it needs none of that, for a place alone."""
        if self._last in ticket.needs:
            ticket.lacks = self._only_last
            self._join(self._last, ticket)
        else:
            self._list(ticket)

    def _take_back_last(self, ticket: Ticket[Owner]) -> None:
        """Have *ticket* neither hold nor ask for the last resource, since it lacks another one from now on."""
        if self._last in ticket.lacks:
            ticket.lacks -= self._only_last  # it may have stood before others
        elif len(ticket.lacks) == 1:  # before, it lacked nothing
            line = self._lines[self._last]
            line.remove(ticket)
            line.spare += ticket.needs[self._last]
        else:
            return
        self._serve(self._last)

    def _list(self, ticket: Ticket[Owner]) -> None:
        if not ticket.is_listed:
            ticket.is_listed = True
            self._ready.put(ticket)
