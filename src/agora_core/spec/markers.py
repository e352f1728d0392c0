"""The two pluggy markers: `hookspec` for Agora itself, `hookimpl` for every plugin."""

from pluggy import HookimplMarker, HookspecMarker

PROJECT = "agora"

hookspec = HookspecMarker(PROJECT)
hookimpl = HookimplMarker(PROJECT)
