"""From folders of files to training data."""
