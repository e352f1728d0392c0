"""Figures of Agora, each measured against a baseline in the same run; see README.md in this folder."""
