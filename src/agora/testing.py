"""For the tests of pipelines and plugins: clocks, a virtual-time loop and pool, and the contracts of the ports."""

from agora_core.spec.late_names import late_names

_PLACES = {
    "DlqStoreContract": "agora_core.testing.dlq_contract",
    "ManualClock": "agora_core.testing.clocks",
    "RecordCodecContract": "agora_core.testing.codec_contract",
    "StateStoreContract": "agora_core.testing.state_contract",
    "VirtualClock": "agora_core.testing.virtual_loop",
    "VirtualPool": "agora_core.testing.virtual_pool",
    "run_virtual": "agora_core.testing.virtual_loop",
}

__all__ = sorted(_PLACES)
__getattr__, __dir__ = late_names(__name__, _PLACES)
