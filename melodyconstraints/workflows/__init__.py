"""What a user does, a module for each: the command of the same name calls it."""
