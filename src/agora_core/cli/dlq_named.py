"""Dead-letter stores as they are named on a command line: a file, an address, a config file, or a variable."""

import os
from collections.abc import Hashable
from inspect import Parameter
from pathlib import Path

from agora_core.builtin.sqlite_dlq import SqliteDlq
from agora_core.cli.projects import load_project_config
from agora_core.registry.catalogue import Kind
from agora_core.registry.config_parts import REMEDIES
from agora_core.registry.options import parameters
from agora_core.registry.plugins import installed
from agora_core.spec.errors import ConfigError, did_you_mean
from agora_core.spec.letters import DlqStore
from agora_core.spec.offers import Choice

SCHEMES = {"postgresql": "postgres", "rediss": "redis"}
"""The stores whose addresses begin otherwise than with their own name."""

_VARIABLE = "env:"


def named_store(name: str, *, must_exist: bool) -> DlqStore:
    """Return the store that *name* names.

    It is a SQLite file; an address such as `postgresql://…`, whose scheme is the name of a store; the store of a
    config file, `pipelines.toml`, or that of one of its pipelines, `pipelines.toml#orders`; or `env:NAME`, a variable
    that holds one of these, so that a password stands in no list of processes.
    """
    if name.startswith(_VARIABLE):
        return _of_variable(name.removeprefix(_VARIABLE), must_exist=must_exist)
    if "://" in name:
        return _of_address(name)
    path, _, pipeline_id = name.partition("#")
    if path.endswith(".toml"):
        return _of_config(Path(path), pipeline_id)
    return _of_file(Path(name), must_exist=must_exist)


def place_of(store: DlqStore) -> object:
    """Return what two objects that stand for one store have in common; those of plugins may compare as equal."""
    if isinstance(store, SqliteDlq):
        return store.path.resolve()
    return store if isinstance(store, Hashable) else id(store)


def _of_variable(variable: str, *, must_exist: bool) -> DlqStore:
    value = os.environ.get(variable, "")
    if not value or value.startswith(_VARIABLE):
        raise ConfigError(f"the variable {variable!r} names no dead-letter store; set it to a path or an address")
    return named_store(value, must_exist=must_exist)


def _of_address(address: str) -> DlqStore:
    scheme = address.partition("://")[0]
    catalogue = installed().catalogue
    choice = Choice(SCHEMES.get(scheme, scheme))
    choice = Choice(choice.name, remedy=REMEDIES.get((Kind.DEAD_LETTER_STORE, choice.name), ""))
    needed = [
        one.name
        for one in (parameters(catalogue.builder(Kind.DEAD_LETTER_STORE, choice)) or {}).values()
        if one.default is Parameter.empty
    ]
    if len(needed) != 1:
        raise ConfigError(f"the dead-letter store {choice.name!r} is not made of an address alone; name a config file")
    chosen = Choice(choice.name, {needed[0]: address}, choice.remedy)
    store: DlqStore = catalogue.build(Kind.DEAD_LETTER_STORE, chosen, pipeline_id="")
    return store


def _of_config(path: Path, pipeline_id: str) -> DlqStore:
    pipelines = load_project_config(path).pipelines
    if pipeline_id and pipeline_id not in pipelines:
        hint = did_you_mean(pipeline_id, pipelines)
        raise ConfigError(f"{path} has no pipeline {pipeline_id!r}; known: {', '.join(pipelines)}{hint}")
    chosen = [pipelines[pipeline_id]] if pipeline_id else pipelines.values()
    stores: dict[object, DlqStore] = {place_of(store): store for one in chosen if (store := one.dlq()) is not None}
    if len(stores) != 1:
        found = "several dead-letter stores" if stores else "no dead-letter store"
        raise ConfigError(f"{path} has {found}; say whose is meant, as in {path}#{next(iter(pipelines))}")
    (only,) = stores.values()
    return only


def _of_file(path: Path, *, must_exist: bool) -> DlqStore:
    if must_exist and not path.is_file():
        raise ConfigError(f"no dead-letter file {str(path)!r}" + (": it is a directory" if path.is_dir() else ""))
    return SqliteDlq(path)
