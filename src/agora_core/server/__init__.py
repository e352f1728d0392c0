"""The health server: a thread that answers what exporters say of the worker. It knows no endpoint itself."""
