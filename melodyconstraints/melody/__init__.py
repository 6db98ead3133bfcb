"""Melodies: events, MIDI, generative models, piano rolls."""
