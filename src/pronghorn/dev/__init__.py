"""Developing: watching files, finding the application, showing what is wrong with it."""
