"""A generator that writes bars on a staff, one after another."""
