"""Arrays and scalars of NumPy as bytes: an .npy file each, which holds no Python object and so runs no code."""

from io import BytesIO

import numpy as np

from agora.plugins import Record

_SCALAR = b"scalar:"
"""Stands before the file of a scalar; NumPy knows no file of one, only of an array without dimensions."""

_MOST_BYTES = 12 * 1024 * 1024
"""A larger array fits into no dead letter, and is not copied to find that out."""


def file_of(value: Record) -> bytes | None:
    """Return an array or a scalar as bytes, None for anything else."""
    is_scalar = isinstance(value, np.generic)
    if not (type(value) is np.ndarray or is_scalar) or value.dtype.hasobject or value.nbytes > _MOST_BYTES:
        return None
    file = BytesIO()
    if is_scalar:
        file.write(_SCALAR)
    np.lib.format.write_array(file, np.asarray(value), allow_pickle=False)
    return file.getvalue()


def value_of(payload: bytes) -> Record:
    """Return the array or the scalar; raise `ValueError` where *payload* is none."""
    is_scalar = payload.startswith(_SCALAR)
    file = BytesIO(payload.removeprefix(_SCALAR) if is_scalar else payload)
    try:
        array = np.lib.format.read_array(file, allow_pickle=False)
    except Exception as error:  # what the bytes claim to be may be anything: too large, of no type, not ended
        raise ValueError(f"no array can be read: {type(error).__name__}: {error}") from error
    if file.read(1):
        raise ValueError("bytes follow the array")
    if is_scalar and array.shape:
        raise ValueError("a scalar has no dimensions")
    return array[()] if is_scalar else array


def is_same(one: Record, other: Record) -> bool:
    """Return whether two arrays or two scalars have one type, one shape and the same bits."""
    if type(one) is not type(other) or one.dtype != other.dtype or one.shape != other.shape:
        return False
    if isinstance(one, np.str_ | np.bytes_):
        return bool(one == other)  # an array of one would not have its NULs at the end
    return bool(np.asarray(one).tobytes() == np.asarray(other).tobytes())
