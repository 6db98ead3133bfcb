"""Melodies: events, MIDI, the hierarchical LSTM autoencoder, piano rolls."""
