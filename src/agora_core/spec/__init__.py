"""Hooks, values, protocols and errors: what every other floor stands on."""
