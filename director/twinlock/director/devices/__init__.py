"""Vehicles that run aktualizr: who they are, which ECUs they have, their certificates, and what they tell of themselves.

``service.py`` is the way in.
"""
