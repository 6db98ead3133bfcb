"""Workflows, a module for each: the command of the same name calls it."""
