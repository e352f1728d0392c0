"""The reference that compiled chains are held against: one stage after the other, as plainly as it can be said."""

from inspect import isawaitable
from itertools import groupby
from typing import NamedTuple

from agora_core.spec.inline import InlineStep
from agora_core.spec.letters import SOURCE_RECORD
from agora_core.spec.records import BadRecord


class Item(NamedTuple):
    """A record on its way."""

    place: int
    source: object
    value: object
    is_intact: bool
    """Whether no stage has handed on the very object that the source gave."""

    def became(self, value):
        return self._replace(value=value, is_intact=self.is_intact and value is not self.source)


class Interpreter:
    """Takes a batch through stages; *filtered* counts what they dropped."""

    def __init__(self, stages, context):
        self._stages, self._context = stages, context
        self.filtered = 0

    async def run(self, records, dead):
        """Return the items that come through."""
        items = [Item(place, record, record, True) for place, record in enumerate(records)]
        items = await self._one_by_one((), items, dead, is_first=not self._stages or self._stages[0].takes_batches)
        is_first = True
        for takes_batches, group in groupby(self._stages, key=lambda stage: stage.takes_batches):
            if takes_batches:
                for stage in group:
                    items = await self._at_once(stage, items, dead)
            else:
                items = await self._one_by_one(tuple(group), items, dead, is_first=is_first)
            is_first = False
        return items

    async def _one_by_one(self, stages, items, dead, *, is_first):
        through = []
        for item in items:
            if is_first and type(item.value) is BadRecord:
                if not dead.add(item.place, SOURCE_RECORD, item.value.raw, item.value.error, is_intact=False):
                    break
                continue
            came = item
            for stage in stages:
                try:
                    result = stage.call(came.value, self._context) if stage.takes_context else stage.call(came.value)
                    came = _next(stage, came, await result if isawaitable(result) else result)
                except Exception as error:
                    if not dead.add(item.place, stage.name, came.value, error, is_intact=came.is_intact):
                        return through
                    break
                if came is None:
                    self.filtered += 1
                    break
            else:
                through.append(came)
        return through

    async def _at_once(self, stage, items, dead):
        if not items:
            return items
        try:
            answers = stage.call([item.value for item in items])
            if isawaitable(answers):
                answers = await answers
        except Exception as error:
            answers = [error] * len(items)
        through = []
        for item, answer in zip(items, answers, strict=True):
            if isinstance(answer, BaseException):
                if not dead.add(item.place, stage.name, item.value, answer, is_intact=item.is_intact):
                    break
            elif answer is None:
                self.filtered += 1
            else:
                through.append(item.became(answer))
        return through


def _next(stage, item, result):
    if stage.selects:
        return item if result else None
    if result is None:
        return None
    # A declarative step never changes what it was given.
    return item._replace(value=result) if isinstance(stage.part, InlineStep) else item.became(result)
