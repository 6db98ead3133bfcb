"""The command line: one short file a command; torch is loaded only by commands that need it."""
