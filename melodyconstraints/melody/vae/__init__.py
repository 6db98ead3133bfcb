"""The hierarchical LSTM autoencoder of melodies."""
