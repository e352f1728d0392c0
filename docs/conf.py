"""Sphinx configuration: MyST Markdown, the furo theme, warnings as errors (see tox.ini)."""

from importlib.metadata import version as installed

project = "Agora"
author = "The Agora authors"
release = version = installed("agora-etl")
extensions = ["myst_parser", "sphinx.ext.autodoc"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 4
html_theme = "furo"
html_title = "Agora"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
autodoc_default_options = {"undoc-members": True}
# Docstrings put code between single backticks, as the Markdown pages do.
default_role = "code"
exclude_patterns = ["_build"]
nitpicky = False
suppress_warnings = ["ref.python"]  # several values have a field `type`, which is also the name of a class of Python's
