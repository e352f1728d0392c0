"""Steps that say what they do, so that a chain of them runs as one loop: `set`, `rename`, `drop`, `cast`, `where`."""

from agora_core.builtin.step_words import cast as cast
from agora_core.builtin.step_words import drop as drop
from agora_core.builtin.step_words import rename as rename
from agora_core.builtin.step_words import set as set  # noqa: A004  # the word that users know
from agora_core.builtin.step_words import where as where

__all__ = ["cast", "drop", "rename", "set", "where"]
