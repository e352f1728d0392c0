"""Sums up how a worker ended, by what its pipelines had come to."""

from agora_core.runner.ending import Ending
from agora_core.runner.host import RunHost
from agora_core.runner.report import PoolReport
from agora_core.spec.health import PipelineState


def report_of(host: RunHost, code: int, ending: Ending) -> PoolReport:
    """Return how it went; *code* is what the engine makes of it, and *ending* knows of the signals."""
    found = host.by_state()
    running, refused = host.running, tuple(host.refused)
    cut = tuple(dict.fromkeys((*host.cut, *running)))
    abandoned = tuple(dict.fromkeys((*running, *host.abandoned)))
    code = 1 if cut or abandoned or host.exhausted else code
    if len(refused) == sum(map(len, found.values())):
        code = 2
    return PoolReport(
        exit_code=ending.exit_code(code),
        completed=tuple(found[PipelineState.COMPLETED]),
        stopped=tuple(_without(found[PipelineState.STOPPED], cut)),
        gave_up=tuple(_without(found[PipelineState.FAILED], refused)),
        refused=refused,
        cut=cut,
        abandoned=abandoned,
        cooling_down=host.exhausted,
        signal=ending.signals[0] if ending.signals else None,
    )


def _without(ids: list[str], those: tuple[str, ...]) -> list[str]:
    """Return *ids* but for *those*, in their order."""
    left_out = set(those)
    return [one for one in ids if one not in left_out] if left_out else ids
