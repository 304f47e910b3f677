"""Signing for vehicles: when the Director may sign, and the way out after a false time."""
