"""The invariants of dead letters, a file for each: promises, tried on the real code with what Hypothesis draws."""
