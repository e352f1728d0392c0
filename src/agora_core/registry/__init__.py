"""Plugins found, offers collected, parts built from the names that users choose, config files read."""
