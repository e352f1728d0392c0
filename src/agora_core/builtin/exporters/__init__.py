"""The built-in health exporters, one a file."""
