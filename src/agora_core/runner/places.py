"""Where the engine of this process has each pipeline: in a herd until something happens to it, then in its own job."""

from collections.abc import Iterable, Iterator, Sequence

from agora_core.runner.jobs import Herd, Job
from agora_core.spec.errors import ConfigError, did_you_mean
from agora_core.spec.time import Wait


class Places:
    """Jobs and herds by the ids of their pipelines."""

    def __init__(self) -> None:
        self._places: dict[str, Job | Herd] = {}
        self._herds: dict[int, Herd] = {}  # by the identity of the wait, which the herd keeps alive

    def strangers(self, pipeline_ids: Iterable[str]) -> list[str]:
        """Return those that have no place yet."""
        known = self._places
        return [one for one in pipeline_ids if one not in known]

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def gather(self, pipeline_ids: Sequence[str], wait: Wait, offset: float) -> Herd:
        """Add new pipelines to the herd that waits this *wait*, told by the clock of this *offset*; return the herd."""
        herd = self._herds.get(id(wait))
        if herd is None:
            herd = self._herds[id(wait)] = Herd(wait, offset)
        herd.ids.extend(pipeline_ids)
        self._places.update(dict.fromkeys(pipeline_ids, herd))
        return herd

    def herd_of(self, pipeline_id: str) -> Herd | None:
        """Return the herd that the pipeline is in, if it is in one."""
        place = self._places.get(pipeline_id)
        return place if isinstance(place, Herd) else None

    def job(self, pipeline_id: str) -> Job:
        """Return the job of the pipeline, or raise `ConfigError`; one that is in a herd leaves it."""
        place = self._places.get(pipeline_id)
        if isinstance(place, Job):
            return place
        if place is None:
            raise ConfigError(f"no pipeline named {pipeline_id!r}{did_you_mean(pipeline_id, self._places)}")
        job = self._places[pipeline_id] = Job(pipeline_id, place.wait, place.offset)
        return job

    def new_job(self, pipeline_id: str) -> Job:
        """Return the job of a new pipeline that is in no herd."""
        job = self._places[pipeline_id] = Job(pipeline_id)
        return job

    def first_of(self, herd: Herd) -> Job | None:
        """Return the job of the first pipeline that is still in *herd*, and leaves it now; None when it is empty."""
        while herd.ids:
            pipeline_id = herd.ids.popleft()
            if self._places[pipeline_id] is herd:
                return self.job(pipeline_id)
        return None

    def has_ended(self, pipeline_id: str) -> bool:
        """Return whether no run of the pipeline will be started any more."""
        place = self._places[pipeline_id]
        return isinstance(place, Job) and place.ended
