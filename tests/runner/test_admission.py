"""Who may start next, as a matter of values: held against a rule that looks at everybody each time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agora_core.runner.admission import Admission

CAPACITIES = {"a": 1, "b": 3, "last": 2}

needs = st.fixed_dictionaries({}, optional={"last": st.integers(1, 2), "a": st.just(1), "b": st.integers(1, 3)})
requests = st.tuples(st.just("ask"), needs, st.integers(0, 2))
places = st.none() | st.integers(1, 4)
steps = st.lists(requests | st.tuples(st.sampled_from(["end", "leave"]), st.integers(0, 30)), max_size=60)


class Rule:
    """The rule in its plainest form: everybody, in order, is held against what those before have not claimed.

    Of the last resource nobody claims anything who lacks another one.
    """

    def __init__(self, places):
        self.places = places
        self.waiting = {}
        self.running = {}

    def may_start(self):
        """Yield who may start, the first first."""
        free = {name: CAPACITIES[name] - self.used(name) for name in CAPACITIES}
        blocked = set()
        for name, (order, wanted) in sorted(self.waiting.items(), key=lambda one: one[1][0]):
            fits = True
            for resource, amount in sorted(wanted.items()):
                if resource == "last" and not fits:
                    break
                if resource in blocked or amount > free[resource]:
                    blocked.add(resource)
                    fits = False
                else:
                    free[resource] -= amount
            if fits:
                yield name

    def used(self, resource):
        return sum(wanted.get(resource, 0) for _, wanted in self.running.values())

    def start(self):
        if self.places is not None and len(self.running) >= self.places:
            return None
        name = next(self.may_start(), None)
        if name is not None:
            self.running[name] = self.waiting.pop(name)
        return name


class Both:
    """An admission and the rule, which are told the same."""

    def __init__(self, places):
        self.admission = Admission(places, CAPACITIES, last="last")
        self.rule = Rule(places)
        self.tickets = {}
        self.started = []

    def ask(self, wanted, priority=0):
        name = len(self.tickets)
        self.tickets[name] = self.admission.ask(name, wanted, priority)
        self.rule.waiting[name] = ((-priority, name), wanted)
        return name

    def enter(self, wanted, priority=0):
        """Come where nobody else could start; both agree whether the newcomer may."""
        name = len(self.tickets)
        self.tickets[name] = self.admission.enter(name, wanted, priority)
        self.rule.waiting[name] = ((-priority, name), wanted)
        started = self.rule.start()
        assert started == (None if self.tickets[name].is_waiting else name)
        return name

    def end(self, name):
        del self.rule.running[name]
        self.admission.leave(self.tickets[name])

    def leave(self, name):
        del self.rule.waiting[name]
        self.admission.leave(self.tickets[name])

    def settle(self):
        """Admit all that may start; both agree at each of them."""
        while True:
            ticket, name = self.admission.admit(), self.rule.start()
            assert (ticket and ticket.owner) == name
            if ticket is None:
                return
            self.started.append(name)

    def take(self, step):
        if step[0] == "ask":
            self.ask(*step[1:])
            return
        among = list(self.rule.running if step[0] == "end" else self.rule.waiting)
        if among:
            (self.end if step[0] == "end" else self.leave)(among[step[1] % len(among)])


@given(places=places, steps=steps, settled=st.lists(st.booleans(), min_size=60, max_size=60))
def test_the_queues_keep_the_rule(places, steps, settled):
    """Whatever comes, goes and ends in whatever order, the next to start is the one that the plain rule names."""
    both = Both(places)
    for step, now in zip(steps, settled, strict=False):
        both.take(step)
        if now:
            both.settle()
    both.settle()


@given(places=places, steps=steps)
def test_no_more_runs_than_there_is_room_for(places, steps):
    """Neither places nor resources are ever given twice, and nothing that could start is left waiting."""
    both = Both(places)
    for step in steps:
        both.take(step)
        both.settle()
        assert places is None or len(both.rule.running) <= places
        assert all(both.rule.used(name) <= amount for name, amount in CAPACITIES.items())


@given(places=places, steps=steps)
def test_who_enters_may_start_at_once_or_waits_for_its_turn(places, steps):
    """When all had their turn, a newcomer alone can be one who may start: others need not be looked at for that."""
    both = Both(places)
    for step in steps:
        if step[0] == "ask":
            both.enter(*step[1:])
        else:
            both.take(step)
        both.settle()


@given(places=places, steps=steps)
def test_first_come_first_served(places, steps):
    """Of those who need the same at the same priority, nobody starts before one who came earlier."""
    both, wishes = Both(places), {}
    for step in steps:
        if step[0] == "ask":
            wishes[len(both.tickets)] = (tuple(step[1].items()), step[2])
        both.take(step)
        both.settle()
    for wish in set(wishes.values()):
        alike = [name for name in both.started if wishes[name] == wish]
        assert alike == sorted(alike)


@given(places=places, before=st.lists(requests, max_size=15), after=st.lists(needs, min_size=1, max_size=3))
def test_nobody_is_kept_waiting_by_those_who_come_later(places, before, after):
    """The biggest need starts though small ones never cease to come: whenever all have ended, one before it is done."""
    both = Both(places)
    for step in before:
        both.take(step)
    both.settle()
    big = both.ask({"a": 1, "b": 3}, priority=2)
    both.settle()
    for _ in range(len(before) + 1):
        for wanted in after:
            both.ask(wanted, priority=2)
        both.settle()
        for running in list(both.rule.running):
            both.end(running)
        both.settle()

    assert big in both.started


def test_who_loses_another_resource_stands_before_nobody_at_the_last_one():
    """The first of those who wait for the last one is robbed of what it had: the next has its turn."""
    both = Both(None)
    both.ask({"last": 1})
    both.ask({"last": 2, "a": 1})
    small = both.ask({"last": 1})
    both.settle()
    both.ask({"a": 1, "b": 3}, priority=2)
    both.settle()

    assert small in both.started


def test_a_big_need_is_not_overtaken_at_its_resource_by_small_ones():
    """What is free is set aside for it, until there is enough."""
    both = Both(None)
    first, second = both.ask({"b": 1}), both.ask({"b": 1})
    both.settle()
    big, small = both.ask({"b": 3}), both.ask({"b": 1})
    both.settle()
    both.end(first)
    both.settle()
    assert both.started == [first, second]
    both.end(second)
    both.settle()
    assert both.started[-1] == big
    both.end(big)
    both.settle()
    assert both.started[-1] == small


def test_who_waits_for_one_resource_keeps_nobody_from_another():
    """Neither a place nor what is left of the other resource."""
    both = Both(2)
    both.ask({"a": 1})
    both.settle()
    blocked = [both.ask({"a": 1, "b": 1}) for _ in range(5)]
    others = [both.ask({"b": 2}), both.ask({})]
    both.settle()

    assert both.started[1:] == [others[0]] or both.started[1:] == [others[1]]
    assert not set(blocked) & set(both.started)


def test_who_waits_for_a_resource_keeps_nobody_from_the_last():
    """It asks for that when it has the others, and gives it back when one of them is taken back."""
    admission = Admission(1, {"a": 1, "last": 1}, last="last")
    holder = admission.ask("holder", {"a": 1}, 0)
    admission.admit()
    low = admission.ask("low", {"a": 1, "last": 1}, 0)
    other = admission.ask("other", {"last": 1}, -1)
    first = [set(low.lacks), set(other.lacks)]
    admission.leave(holder)
    second = [set(low.lacks), set(other.lacks)]
    admission.stirred()
    high = admission.ask("high", {"a": 1}, 1)

    assert first == [{"a"}, set()]
    assert second == [set(), {"last"}]
    assert [set(low.lacks), set(other.lacks)] == [{"a"}, set()]
    assert admission.stirred() == [low, other, high]
    assert admission.admit() is high
    admission.leave(high)
    assert admission.admit() is low


def test_a_higher_priority_takes_back_what_was_set_aside():
    """Set aside is not in use: who comes later and is more important is first, and the other one waits on."""
    admission = Admission(1, {"a": 1})
    holder = admission.ask("holder", {}, 0)
    admission.admit()
    low = admission.ask("low", {"a": 1}, 0)
    assert not low.lacks
    high = admission.ask("high", {"a": 1}, 1)
    assert (set(low.lacks), set(high.lacks)) == ({"a"}, set())
    assert admission.stirred() == [low, high]
    admission.leave(holder)

    assert admission.admit() is high
    assert admission.admit() is None
    admission.leave(high)
    assert admission.admit() is low


def test_leaving_twice_gives_back_once():
    """A ticket that is gone has nothing more to give."""
    admission = Admission(1, {"a": 1})
    one = admission.ask("one", {"a": 1}, 0)
    admission.admit()
    admission.leave(one)
    admission.leave(one)
    admission.ask("two", {}, 0)
    admission.ask("three", {}, 0)

    assert admission.admit().owner == "two"
    assert admission.admit() is None


@pytest.mark.parametrize("wanted", [{}, {"a": 1}, {"b": 1}, {"last": 1}, {"a": 1, "last": 1}])
def test_those_who_left_are_forgotten(wanted):
    """Coming and going a thousand times behind one who stays costs no memory."""
    admission = Admission(1, dict.fromkeys(("a", "b", "last"), 1), last="last")
    admission.ask("holder", {"a": 1, "b": 1, "last": 1}, 0)
    admission.admit()
    admission.ask("next", {"a": 1, "b": 1, "last": 1}, 0)
    for _ in range(1000):
        admission.leave(admission.ask("guest", wanted, 0))

    queues = [admission._ready, *(line.behind for line in admission._lines.values())]
    assert sum(len(queue._heap) for queue in queues) < 300
