"""Records move: pipelines built, run, and their dead letters replayed."""
