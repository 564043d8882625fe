"""For all tests: Hypothesis asks what is right, not how fast a busy machine is."""

from hypothesis import settings

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
