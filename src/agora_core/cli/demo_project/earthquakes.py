"""What becomes of an event of the USGS feed: a flat record, or an error that says what is wrong with it."""

from datetime import UTC, datetime
from typing import Any

RMS_IS_REQUIRED = True
"""Whether an event must say how well its location fits. Make it False, replay the dead letters, and they go through."""


def normalize(event: dict[str, Any]) -> dict[str, Any]:
    """Return *event* as one flat record with a time, a place and numbers."""
    properties = event["properties"]
    longitude, latitude, depth = event["geometry"]["coordinates"]
    if RMS_IS_REQUIRED and properties["rms"] is None:
        raise ValueError(f"event {event['id']} has no rms")
    return {
        "id": event["id"],
        "time": datetime.fromtimestamp(properties["time"] / 1000, UTC).isoformat(timespec="milliseconds"),
        "place": properties["place"],
        "kind": properties["type"],
        "magnitude": properties["mag"],
        "longitude": longitude,
        "latitude": latitude,
        "depth_km": depth,
        "rms": properties["rms"],
        "felt_by": properties["felt"] or 0,
    }


def is_strong(event: dict[str, Any]) -> bool:
    """Return whether *event* has a magnitude of 4.5 or more."""
    return bool(event["properties"]["mag"] >= 4.5)


def was_felt(event: dict[str, Any]) -> bool:
    """Return whether somebody reported that they felt *event*."""
    return bool(event["properties"]["felt"])
