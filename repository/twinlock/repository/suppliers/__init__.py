"""Suppliers: their workspace, their outbox, and the review of what they signed."""
