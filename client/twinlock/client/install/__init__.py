"""Installers: the interface, and the built-in A/B slots."""
