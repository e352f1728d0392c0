"""Steps that say what they do, so that a chain of them runs as one loop: `set`, `rename`, `drop`, `cast`, `where`."""

from agora_core.spec.late_names import late_names

_PLACES = {
    "cast": "agora_core.builtin.step_words",
    "drop": "agora_core.builtin.step_words",
    "rename": "agora_core.builtin.step_words",
    "set": "agora_core.builtin.step_words",
    "where": "agora_core.builtin.step_words",
}

__all__ = sorted(_PLACES)
__getattr__, __dir__ = late_names(__name__, _PLACES)
