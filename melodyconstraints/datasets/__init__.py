"""Training data, read from folders of files."""
