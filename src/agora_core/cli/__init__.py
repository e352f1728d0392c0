"""The program `agora`: click commands, the only place that prints."""
