"""Vehicles that run aktualizr: who they are, which ECUs they have, their certificates, and what they tell of themselves.

Belongs here: everything about such a vehicle beside its manifests and its metadata. ``service.py`` is the way in.
"""
