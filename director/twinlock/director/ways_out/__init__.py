"""Audited commands that end every state into which the Director can put a vehicle, the same for both profiles."""
