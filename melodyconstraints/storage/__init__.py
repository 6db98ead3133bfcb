"""What is on disk, whatever it holds: folders of weights, whole files, harmless text."""
