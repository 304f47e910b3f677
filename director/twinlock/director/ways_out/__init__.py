"""Audited commands that lead out of every state that the Director can get a vehicle into, the same for both profiles."""
