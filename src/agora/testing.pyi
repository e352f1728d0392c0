"""For the tests of pipelines and plugins: clocks, a virtual-time loop and pool, and the contracts of the ports."""

from agora_core.testing.clocks import ManualClock as ManualClock
from agora_core.testing.codec_contract import RecordCodecContract as RecordCodecContract
from agora_core.testing.dlq_contract import DlqStoreContract as DlqStoreContract
from agora_core.testing.state_contract import StateStoreContract as StateStoreContract
from agora_core.testing.virtual_loop import VirtualClock as VirtualClock
from agora_core.testing.virtual_loop import run_virtual as run_virtual
from agora_core.testing.virtual_pool import VirtualPool as VirtualPool

__all__ = [
    "DlqStoreContract",
    "ManualClock",
    "RecordCodecContract",
    "StateStoreContract",
    "VirtualClock",
    "VirtualPool",
    "run_virtual",
]
