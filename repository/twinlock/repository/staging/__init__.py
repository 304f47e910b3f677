"""Edits on their way into the next publication: images, removals, delegations."""
