"""Pipelines over time: schedules, pacing, the pool, its shutdown, and the engine of this process."""
