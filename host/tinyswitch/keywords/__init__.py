"""Recorded speech, and the models that hear "yes" and "no" in it."""
