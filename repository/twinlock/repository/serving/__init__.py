"""Serving an Image repository: what is ready, and what is not."""
