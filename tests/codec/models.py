"""Classes as users write them for their records: every library's way to declare fields, and the odd corners of each."""

from collections import namedtuple
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum, Flag, IntEnum, IntFlag, StrEnum
from functools import cached_property
from typing import Any, Generic, NamedTuple, TypedDict, TypeVar

import attrs
import msgspec
import pydantic

T = TypeVar("T")


class Colour(Enum):
    RED = 1
    CRIMSON = 1  # noqa: PIE796  # an alias
    GREEN = "green"
    MIXED = (1, (2, 3))


class Level(IntEnum):
    LOW = 1


class Mood(StrEnum):
    GOOD = "good"


class Right(Flag):
    READ = 1
    WRITE = 2
    ALL = 3


class Bits(IntFlag):
    A = 1
    B = 4


class Strict(Enum):
    ONE = 1
    TRUE = "true"

    @classmethod
    def _missing_(cls, value):
        raise SystemExit("asked")


Pair = namedtuple("Pair", "a b")


class Geo(NamedTuple):
    lat: float
    lon: float = 0.0


class Named(Pair):
    """A named tuple with a `__dict__` of its own."""


@dataclass
class Item:
    sku: str
    price: Decimal
    colour: Colour = Colour.RED


@dataclass(frozen=True, slots=True)
class Key:
    id: int
    geo: Geo


@dataclass
class Order:
    id: int
    items: list[Item]
    where: Geo | None = None
    more: Any = None
    secret: str = field(default="hidden", repr=False)


@dataclass
class Counted:
    """Counts in its constructor, which must not be called again."""

    start: int
    total: int = field(init=False)

    def __post_init__(self):
        self.total = self.start + 1
        made.append(self.start)


made: list[int] = []


class Hiding:
    __slots__ = ("hidden",)


@dataclass
class Base(Hiding):
    x: int


@dataclass
class Cached:
    x: int

    @cached_property
    def double(self):
        return self.x * 2


@dataclass(eq=False)
class NeverEqual:
    x: int


@dataclass
class Box(Generic[T]):
    content: T


@dataclass
class Listing(list):
    x: int = 0


@dataclass
class Trouble(Exception):  # noqa: N818
    x: int = 0


class Struct(msgspec.Struct):
    a: int
    b: Any = None


class Frozen(msgspec.Struct, frozen=True, kw_only=True, rename="camel", tag=True, array_like=True):
    first_name: str
    tags: list[str] = []


class Fussy(msgspec.Struct):
    a: int

    def __post_init__(self):
        self.a += 1


@attrs.define
class Customer:
    name: str
    _private: int = 0
    tags: list[str] = attrs.field(factory=list)


@attrs.frozen
class Tax:
    rate: float = attrs.field(converter=float, validator=attrs.validators.ge(0))


@attrs.define(slots=False)
class Loose:
    x: int


class Address(pydantic.BaseModel):
    street: str = pydantic.Field(alias="Street")
    number: int | None = None
    geo: Geo | None = None


class Open(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow")
    x: int
    _seen: int = pydantic.PrivateAttr(default=0)


class Root(pydantic.RootModel[list[int]]):
    pass


@pydantic.dataclasses.dataclass
class Checked:
    x: int


class Row(TypedDict):
    x: int


class Plain:
    """Declares nothing."""


@dataclass
class Refusing:
    __slots__ = ()
    x: int


class Picky(msgspec.Struct):
    a: int

    def __post_init__(self):
        raise ValueError("never")


@dataclass
class Computed:
    """A field that a property has a say in."""

    x: int

    @property
    def x(self):
        return self.__dict__["kept"] * 2

    @x.setter
    def x(self, value):
        self.__dict__["kept"] = value
