"""Power cuts, simulated: the writes and syncs of a store are traced, then what was not synced is lost in all ways."""
