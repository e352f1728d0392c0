"""The records that the flow figures move, and the two plain functions that they go through."""

from functools import cache
from random import Random
from typing import Any

Row = dict[str, Any]

_DISTINCT = 1_000
_LEAST_FELT = 2.5


def rows(count: int) -> list[Row]:
    """Return *count* raw rows, of which a thousand are distinct: to prepare a million costs no more than a thousand."""
    return (_distinct() * (count // _DISTINCT + 1))[:count]


@cache
def _distinct() -> list[Row]:
    random = Random(7)
    return [_row(number, random) for number in range(_DISTINCT)]


def _row(number: int, random: Random) -> Row:
    return {
        "id": f"ci{number:08}",
        "place": f"  {random.randint(1, 90)} km SSW of Ridgecrest, CA ",
        "mag": f"{random.uniform(0.5, 6.5):.2f}",
        "depth": f"{random.uniform(1, 90):.3f}",
        "time": 1_735_689_600_000 + number * 61_337,
        "status": "reviewed",
    }


def to_quake(row: Row) -> Row:
    """Give the fields that are wanted, as the types that they have."""
    return {
        "place": row["place"].strip(),
        "magnitude": float(row["mag"]),
        "depth": float(row["depth"]),
        "minute": row["time"] // 60_000,
    }


def is_felt(quake: Row) -> bool:
    """Tell the two thirds that people feel."""
    return bool(quake["magnitude"] >= _LEAST_FELT)
