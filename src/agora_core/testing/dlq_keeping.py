"""What a dead-letter store promises about keeping letters."""

import asyncio
from dataclasses import replace

from agora_core.spec.letters import UNKNOWN, DlqStore, Fidelity, LetterQuery
from agora_core.testing.async_tests import in_a_loop
from agora_core.testing.dlq_samples import AGAIN, JSON_RECORDS, Plain, Rude, letter, letters, uids
from agora_core.testing.store_under_test import StoreUnderTest


class KeepingContract(StoreUnderTest[DlqStore]):
    """What was put is there, whole, once."""

    @in_a_loop
    async def test_a_letter_comes_back_as_it_was_put(self) -> None:
        """Every field is there again, with the number that the store gave it."""
        origin = {"raw": "7;x"}
        put = replace(letter("a", record={"n": 7}), origin=origin, last_error=AGAIN, attempts=3)

        async with self.opened() as store:
            await store.put([put])
            (found,) = await store.find(LetterQuery())

        assert found.id >= 1
        assert found.agora_version != ""
        assert replace(found, attempts_log=(), agora_version="") == put.with_id(found.id)

    @in_a_loop
    async def test_an_unknown_origin_stays_unknown(self) -> None:
        """UNKNOWN comes back as itself, and None as None."""
        async with self.opened() as store:
            await store.put([letter("a"), replace(letter("b"), origin=None)])
            unknown, none = await store.find(LetterQuery())

        assert unknown.origin is UNKNOWN
        assert none.origin is None

    @in_a_loop
    async def test_json_values_come_back_exactly(self) -> None:
        """A record of JSON values comes back as the same values, of the same types, in the same order."""
        async with self.opened() as store:
            await store.put([letter(str(number), record=record) for number, record in enumerate(JSON_RECORDS)])
            found = await store.find(LetterQuery())

        assert [repr(one.record) for one in found] == [repr(record) for record in JSON_RECORDS]
        assert {one.fidelity for one in found} == {Fidelity.EXACT}

    @in_a_loop
    async def test_what_cannot_be_kept_is_described(self) -> None:
        """A record of any class is kept: exactly, or honestly opaque; `put` raises for none of them."""
        cyclic: list[object] = []
        cyclic.append(cyclic)
        records = [Plain(), Rude(), cyclic, (number for number in range(3)), "\ud800", float("nan")]

        async with self.opened() as store:
            await store.put([letter(str(number), record=record) for number, record in enumerate(records)])
            found = await store.find(LetterQuery())

        assert len(found) == len(records)
        for one, record in zip(found, records, strict=True):
            assert one.fidelity is Fidelity.OPAQUE or type(one.record) is type(record)

    @in_a_loop
    async def test_what_is_done_to_a_record_later_does_not_reach_the_store(self) -> None:
        """A letter holds the record as it was when it was put; what was found can be changed without harm."""
        record = {"items": [1]}
        async with self.opened() as store:
            await store.put([letter("a", record=record)])
            record["items"].append(2)
            (found,) = await store.find(LetterQuery())
            found.record["items"].append(3)

            (again,) = await store.find(LetterQuery())

        assert again.record == {"items": [1]}

    @in_a_loop
    async def test_a_uid_is_kept_once(self) -> None:
        """Putting a uid again, in the same call or a later one, changes nothing."""
        async with self.opened() as store:
            await store.put([letter("a", record=1), letter("a", record=2)])
            await store.put([letter("a", record=3), letter("b", record=4)])
            await store.put([])

            found = await store.find(LetterQuery())

        assert [(one.uid, one.record) for one in found] == [("a", 1), ("b", 4)]

    @in_a_loop
    async def test_concurrent_puts_keep_everything(self) -> None:
        """Many puts at one time lose nothing and mix nothing up; each call's letters stay in order."""
        async with self.opened() as store:
            calls = [[f"{call}-{number}" for number in range(3)] for call in range(20)]
            await asyncio.gather(*(store.put(letters(*call)) for call in calls))

            found = uids(await store.find(LetterQuery()))

        assert sorted(found) == sorted(uid for call in calls for uid in call)
        assert all([uid for uid in found if uid in call] == call for call in calls)

    @in_a_loop
    async def test_a_cancelled_put_harms_no_other(self) -> None:
        """Of puts that wait together, those that are not cancelled are kept; a cancelled one is kept whole or not."""
        async with self.opened() as store:
            puts = [asyncio.ensure_future(store.put(letters(f"{call}-a", f"{call}-b"))) for call in range(10)]
            await asyncio.sleep(0)
            for put in puts[::2]:
                put.cancel()
            ends = await asyncio.gather(*puts, return_exceptions=True)
            await store.put(letters("last"))

            kept = set(uids(await store.find(LetterQuery())))

        assert all(end is None for end in ends[1::2])
        assert "last" in kept
        assert all({f"{call}-a", f"{call}-b"} <= kept for call in range(1, 10, 2))
        assert all(len({f"{call}-a", f"{call}-b"} & kept) != 1 for call in range(10))
