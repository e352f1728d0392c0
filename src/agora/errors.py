"""Every error that Agora raises on purpose."""

from agora_core.spec.late_names import late_names

_PLACES = {
    "AgoraError": "agora_core.spec.errors",
    "BadOptionsError": "agora_core.spec.errors",
    "ConfigError": "agora_core.spec.errors",
    "ConservationError": "agora_core.spec.errors",
    "DeadLetterError": "agora_core.spec.errors",
    "DeploymentError": "agora_core.spec.errors",
    "DuplicateOfferError": "agora_core.spec.errors",
    "FactoryError": "agora_core.spec.errors",
    "LeaseLostError": "agora_core.spec.errors",
    "MissingPluginError": "agora_core.spec.errors",
    "OfferError": "agora_core.spec.errors",
    "PartialWriteError": "agora_core.spec.errors",
    "PluginError": "agora_core.spec.errors",
    "RunError": "agora_core.spec.errors",
    "StoreError": "agora_core.spec.errors",
    "TooManyDeadError": "agora_core.spec.errors",
    "UnknownOfferError": "agora_core.spec.errors",
}

__all__ = sorted(_PLACES)
__getattr__, __dir__ = late_names(__name__, _PLACES)
