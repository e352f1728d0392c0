"""Every error that Agora raises on purpose."""

from agora_core.spec.errors import AgoraError as AgoraError
from agora_core.spec.errors import BadOptionsError as BadOptionsError
from agora_core.spec.errors import ConfigError as ConfigError
from agora_core.spec.errors import ConservationError as ConservationError
from agora_core.spec.errors import DeadLetterError as DeadLetterError
from agora_core.spec.errors import DeploymentError as DeploymentError
from agora_core.spec.errors import DuplicateOfferError as DuplicateOfferError
from agora_core.spec.errors import FactoryError as FactoryError
from agora_core.spec.errors import LeaseLostError as LeaseLostError
from agora_core.spec.errors import MissingPluginError as MissingPluginError
from agora_core.spec.errors import OfferError as OfferError
from agora_core.spec.errors import PartialWriteError as PartialWriteError
from agora_core.spec.errors import PluginError as PluginError
from agora_core.spec.errors import RunError as RunError
from agora_core.spec.errors import StoreError as StoreError
from agora_core.spec.errors import TooManyDeadError as TooManyDeadError
from agora_core.spec.errors import UnknownOfferError as UnknownOfferError

__all__ = [
    "AgoraError",
    "BadOptionsError",
    "ConfigError",
    "ConservationError",
    "DeadLetterError",
    "DeploymentError",
    "DuplicateOfferError",
    "FactoryError",
    "LeaseLostError",
    "MissingPluginError",
    "OfferError",
    "PartialWriteError",
    "PluginError",
    "RunError",
    "StoreError",
    "TooManyDeadError",
    "UnknownOfferError",
]
