"""Workflows on images, a module for each command of ``mc images``."""
