"""Recordings of motion, and the model that tells gestures apart."""
