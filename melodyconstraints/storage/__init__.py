"""Storage on disk: folders of weights, atomic files, sanitised text."""
