"""Reads `[pipelines.NAME.retry]`: a few numbers, a backoff policy, and the policy's options among them."""

from dataclasses import replace
from typing import Any

from agora_core.registry.catalogue import Kind
from agora_core.registry.config_parts import PartReader
from agora_core.registry.config_reader import shown
from agora_core.registry.options import OptionFault
from agora_core.registry.references import is_reference, resolved
from agora_core.registry.settings import RetrySettings
from agora_core.registry.toml_scan import KeyPath
from agora_core.spec.offers import Choice

_OWN = ("max_consecutive_errors", "error_backoff_seconds", "on_exhausted", "cool_down_seconds")
_DEFAULT_POLICY = "exponential"


def read_retry(parts: PartReader, where: KeyPath, value: object, pipeline_id: str) -> RetrySettings | None:
    """Return what happens after failures, or tell what is wrong and return None."""
    reader = parts.reader
    table = dict(reader.table(where, value))
    own = {name: table.pop(name) for name in _OWN if name in table}
    settings = reader.settings(where, own, RetrySettings)
    policy = table.pop("policy", _DEFAULT_POLICY if table else None)
    if settings is None or policy is None:
        return settings
    chosen = _policy(parts, where, policy, table)
    if chosen is None:
        return None
    if isinstance(chosen, Choice):
        seconds = settings.error_backoff_seconds
        ambient = {"base_seconds": seconds, "seconds": seconds, "pipeline_id": pipeline_id}
        built = reader.built(
            where, "", chosen.options, lambda: parts.catalogue.build(Kind.BACKOFF_POLICY, chosen, **ambient)
        )
        if built is None:
            return None
    return replace(settings, policy=chosen)


def _policy(parts: PartReader, where: KeyPath, policy: object, options: dict[str, object]) -> Any:
    reader = parts.reader
    if isinstance(policy, dict) and is_reference(policy) and "import" in policy:
        found: Any = reader.built((*where, "policy"), "", (), lambda: resolved(policy))
        reader.known(where, options, (*_OWN, "policy"))
        if found is None or (callable(getattr(found, "delay", None)) and not isinstance(found, type)):
            return found
        reader.wrong(
            (*where, "policy"), f"{policy['import']!r} is no backoff policy: it has no delay(failures, random)"
        )
        return None
    if not isinstance(policy, str) or not policy:
        fault = OptionFault("policy", f'policy must be a name or {{ import = "module:attr" }}, not {policy!r}')
        reader.faults(where, f"{shown(where)}:", [fault])
        return None
    part = parts.offered(where, Kind.BACKOFF_POLICY, policy, options, beside=(*_OWN, "policy"))
    return None if part is None else part.choice
