"""How long simulated runs take: by a file, by the history, or a second where neither knows."""

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from math import isfinite
from pathlib import Path

from agora_core.runner.luck import Constant, Lengths, LogNormal, Sample, Uniform
from agora_core.spec.errors import ConfigError, did_you_mean
from agora_core.spec.runs import Run

OTHERS = "*"
"""In a file: all pipelines that it does not name."""

_LONGEST = 365 * 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Durations:
    """How long the runs of each pipeline take, and where that is from."""

    lengths: Mapping[str, Lengths]
    from_file: int = 0
    from_history: int = 0
    unknown: int = 0
    """How many pipelines nothing is known of: a second is taken for them."""


def durations_of(
    pipeline_ids: Sequence[str], written: Mapping[str, Lengths], history: Mapping[str, Sequence[Run]]
) -> Durations:
    """Return what is known of the pipelines: first what is *written* in a file, then the *history*."""
    lengths: dict[str, Lengths] = {}
    from_file = from_history = 0
    for one in pipeline_ids:
        if one in written or OTHERS in written:
            lengths[one] = written.get(one) or written[OTHERS]
            from_file += 1
            continue
        seen = [run.ended_at - run.started_at for run in history.get(one, ()) if run.ended_at is not None]
        if seen:
            lengths[one] = Sample(tuple(sorted(seen)))
            from_history += 1
    unknown = len(pipeline_ids) - len(lengths)
    return Durations(lengths=lengths, from_file=from_file, from_history=from_history, unknown=unknown)


def read_durations(path: Path, pipeline_ids: Sequence[str]) -> dict[str, Lengths]:
    """Return what the JSON or TOML file *path* says, or refuse it; it may name these pipelines alone."""
    try:
        text = path.read_text(encoding="utf-8")
        given = tomllib.loads(text) if path.suffix.lower() == ".toml" else json.loads(text)
    except OSError as error:
        raise ConfigError(f"--durations {path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"--durations {path}: is no {path.suffix[1:].upper() or 'JSON'}: {error}") from error
    if not isinstance(given, dict):
        raise ConfigError(f'--durations {path}: must map ids of pipelines to seconds, such as {{"ingest": 40}}')
    for name in given:
        if name != OTHERS and name not in pipeline_ids:
            raise ConfigError(f"--durations {path}: no pipeline {name!r}{did_you_mean(name, pipeline_ids)}")
    return {name: _lengths(value, f"--durations {path}: {name!r}") for name, value in given.items()}


def _lengths(value: object, where: str) -> Lengths:
    if isinstance(value, list):
        if not value:
            raise ConfigError(f"{where}: the list of seconds is empty")
        return Sample(tuple(_span(one, where) for one in value))
    if isinstance(value, dict):
        spans = {name: _span(one, f"{where}, {name}") for name, one in value.items()}
        if spans.keys() == {"least", "most"} and spans["least"] <= spans["most"]:
            return Uniform(least=spans["least"], most=spans["most"])
        if spans.keys() == {"median", "p95"} and spans["median"] <= spans["p95"]:
            return LogNormal(median=spans["median"], p95=spans["p95"])
        raise ConfigError(
            f"{where}: a distribution is {{least, most}}, all between them alike, or {{median, p95}}, with the smaller "
            f"one first; not {value!r}"
        )
    return Constant(_span(value, where))


def _span(value: object, where: str) -> timedelta:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not isfinite(value) or not 0 < value <= _LONGEST:  # type: ignore[arg-type,operator]  # a number
        raise ConfigError(f"{where}: seconds are a number above 0, not {value!r}")
    return timedelta(seconds=value)  # type: ignore[arg-type]  # as above
