"""The codec `numpy`. It imports NumPy, which takes 0.1 s, for no program that has not imported it itself."""

import sys
from collections.abc import Callable

from agora.plugins import Record, late

_file_of: Callable[..., bytes | None] = late("agora_plugins.numpy_files:file_of")
_value_of: Callable[..., Record] = late("agora_plugins.numpy_files:value_of")
_is_same: Callable[..., bool] = late("agora_plugins.numpy_files:is_same")


class NumpyCodec:
    """Keeps `numpy.ndarray` and scalars such as `numpy.float32`, with type, shape, byte order and every bit.

    Not its own: subclasses, such as masked arrays, and arrays of Python objects, which are no bytes.
    """

    name = "npy/1"

    def encode(self, value: Record, /) -> bytes | None:
        """Return an array or a scalar as bytes, None for anything else."""
        return _file_of(value=value) if "numpy" in sys.modules else None  # else no value is NumPy's

    def decode(self, payload: bytes, /) -> Record:
        """Return the array or the scalar; raise `ValueError` where *payload* is none."""
        return _value_of(payload=payload)

    def same(self, one: Record, other: Record, /) -> bool:
        """Return whether two arrays or two scalars have one type, one shape and the same bits."""
        return _is_same(one=one, other=other)
