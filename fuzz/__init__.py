"""Fuzzing: see README.md beside this file."""
