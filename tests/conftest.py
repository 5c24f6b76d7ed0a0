"""For all tests: a loaded machine must not decide, so no example of Hypothesis has a time limit."""

from hypothesis import settings

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
