"""One idea for every extension: a plugin makes an `Offer`, a user makes a `Choice`, the catalogue matches them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Generic, TypeVar

Part_co = TypeVar("Part_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Offer(Generic[Part_co]):
    """A part that a plugin can build, under the *name* by which users choose it.

    *build* is called with the options of the user's choice as keyword arguments. A builder that names a
    parameter `pipeline_id` is given the id of the pipeline that it builds for.
    """

    name: str
    summary: str
    build: Callable[..., Part_co]


@dataclass(frozen=True, slots=True)
class Choice:
    """A part that a user asked for: its *name*, its *options*, and the *remedy* if nobody offers it."""

    name: str
    options: Mapping[str, object] = field(default_factory=dict)
    remedy: str = ""

    def __str__(self) -> str:
        return " ".join([self.name, *(f"{key}={value!r}" for key, value in self.options.items())])


def late(path: str, *, needs: Sequence[str] = ()) -> Callable[..., Any]:
    """Return a builder that imports `"module:attribute"` at its first call, so that listing an offer costs nothing.

    *needs* are top-level modules that must be there: ModuleNotFoundError is raised at once when one is not, so that
    a missing extra shows when the plugin loads, as a plain import would.
    """
    for module in needs:
        if find_spec(module) is None:
            raise ModuleNotFoundError(f"No module named {module!r}", name=module)
    return _Late(path)


@dataclass(frozen=True, slots=True)
class _Late:
    path: str

    @property
    def target(self) -> Callable[..., object]:
        """The imported builder; the catalogue reads its signature from here."""
        module, _, attribute = self.path.partition(":")
        return getattr(import_module(module), attribute)  # type: ignore[no-any-return]  # getattr is untyped

    def __call__(self, **options: object) -> object:
        return self.target(**options)
