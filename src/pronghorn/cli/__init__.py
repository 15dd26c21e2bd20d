"""The command line: one file per thing the command does."""
