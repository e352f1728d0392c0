"""Agora's own plugins: one module, one entry point and one extra of the same name each."""
