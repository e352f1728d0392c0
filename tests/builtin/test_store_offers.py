"""The hook modules of the stores."""

import subprocess
import sys

from agora_core.builtin.dlq_stores import agora_dlq_stores
from agora_core.builtin.memory_dlq import MemoryDlq
from agora_core.builtin.memory_state import MemoryState
from agora_core.builtin.sqlite_dlq import SqliteDlq
from agora_core.builtin.sqlite_state import SqliteState
from agora_core.builtin.state_stores import agora_state_stores


def test_stores_are_offered_by_name(tmp_path):
    """Each name builds its store, with the options of the user."""
    letters = {offer.name: offer.build for offer in agora_dlq_stores()}
    states = {offer.name: offer.build for offer in agora_state_stores()}

    assert isinstance(letters["sqlite"](path=str(tmp_path / "x.db"), busy_timeout_seconds=1), SqliteDlq)
    assert isinstance(letters["memory"](), MemoryDlq)
    assert isinstance(states["sqlite"](path=str(tmp_path / "x.db")), SqliteState)
    assert isinstance(states["memory"](), MemoryState)


def test_offering_loads_nothing():
    """Listing the stores imports none of them, nor asyncio."""
    program = (
        "import sys; from agora_core.builtin import dlq_stores, state_stores; dlq_stores.agora_dlq_stores();"
        " state_stores.agora_state_stores(); print(*(name for name in sys.modules if name.startswith('agora_core.b')))"
        "; print('asyncio' in sys.modules)"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.split() == [
        "agora_core.builtin",
        "agora_core.builtin.dlq_stores",
        "agora_core.builtin.state_stores",
        "False",
    ]
