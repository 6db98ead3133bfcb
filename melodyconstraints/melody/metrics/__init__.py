"""Measures of melodies and of sets of them."""
