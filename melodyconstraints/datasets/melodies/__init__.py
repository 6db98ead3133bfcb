"""Extraction of a melody store from folders of MIDI files."""
