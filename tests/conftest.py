"""What all tests share: Hypothesis judges no test by its time, which on a busy machine is anybody's."""

from hypothesis import settings

settings.register_profile("agora", deadline=None)
settings.load_profile("agora")
