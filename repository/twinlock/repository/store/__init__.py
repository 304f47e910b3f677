"""Stores of published files: the interface, a directory, object names, the publication log."""
