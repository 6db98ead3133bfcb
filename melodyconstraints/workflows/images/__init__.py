"""What a user does with images, a module for each command of ``mc images``."""
