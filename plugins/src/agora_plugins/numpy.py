"""NumPy arrays and scalars in dead letters, kept exactly. Needs the extra `numpy`."""

from __future__ import annotations

import agora.plugins
from agora.plugins import Offer, hookimpl, late

_NPY: Offer[agora.plugins.RecordCodec] = Offer(
    name="numpy",
    summary="NumPy arrays and scalars, in the format of .npy files",
    build=late("agora_plugins.numpy_codec:NumpyCodec", needs=("numpy",)),
)


@hookimpl
def agora_dlq_codecs() -> list[Offer[agora.plugins.RecordCodec]]:
    """Offer the codec `numpy`."""
    return [_NPY]
