"""Stands for psycogreen."""
