"""Stores that keep nothing beyond one process, and so nothing of a run in another one."""

from agora_core.flow.bound import BoundPipeline


def is_private(store: object) -> bool:
    """Return whether *store* says that what it keeps is in the memory of one process."""
    return getattr(store, "in_memory", False) is True


def problem_with(stores: tuple[object, ...]) -> str | None:
    """Return why pipelines with such *stores* cannot run in another process, or None."""
    names = [type(store).__name__ for store in stores if is_private(store)]
    if not names:
        return None
    return (
        f'isolation="process" and {" and ".join(names)} do not go together: what such a store keeps is in the memory '
        "of one process, and gone with it; keep it in a file, such as SqliteDlq and SqliteState do"
    )


def private_store(pipeline: object) -> str | None:
    """Return why *pipeline* cannot run in another process as far as its stores are concerned, or None."""
    return (
        problem_with((pipeline.config.dlq, pipeline.config.checkpoint)) if isinstance(pipeline, BoundPipeline) else None
    )
