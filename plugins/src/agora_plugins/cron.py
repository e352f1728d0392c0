"""Cron schedules: `Schedule.cron("0 */6 * * *")`. Needs the extra `cron`."""

from __future__ import annotations

import agora.plugins
from agora.plugins import Offer, hookimpl, late

# Ports stand in annotations alone, which nobody evaluates: every `agora worker --list` loads this module.
# `needs` is looked for as the plugin loads, so that a missing extra shows there; croniter is imported at the first use.
_CRON: Offer[agora.plugins.Timetable] = Offer(
    name="cron",
    summary="when a cron expression fires, by the rule of Debian's cron",
    build=late("agora_plugins.cron_rule:Cron", needs=("croniter",)),
)


@hookimpl
def agora_schedule_types() -> list[Offer[agora.plugins.Timetable]]:
    """Offer the schedule type `cron`."""
    return [_CRON]
