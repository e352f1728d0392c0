"""The code behind `agora`. Users import `agora`; this package's floors may move between releases."""
