"""Runs of pipelines in processes of their own: `isolation="process"`."""
