"""Generative models of melodies: the hierarchical LSTM autoencoder and the staff generator."""
