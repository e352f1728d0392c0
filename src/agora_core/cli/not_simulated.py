"""What a simulation leaves out that the pool would have, so that nobody takes it for more than it is."""

from agora_core.runner.pool import WorkerPool
from agora_core.spec.offers import Choice

_HERE = "asyncio"


def not_simulated(pool: WorkerPool) -> list[str]:
    """Return in words what is not simulated of *pool*."""
    found = [
        "runs that slow each other down, or block the worker",
        "what is done by hand, such as pauses and triggers",
        "what an earlier worker has left",
    ]
    if any(one.run_timeout_seconds is not None for one in pool.pipelines):
        found.append("runs that do not let go when their time-out is over")
    engine = pool.settings.engine
    name = engine.name if isinstance(engine, Choice) else engine
    if name is not None and name != _HERE:
        found.append(f"the engine {name!r}: the worker of the simulation runs all pipelines itself")
    return found
