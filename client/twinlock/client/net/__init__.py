"""Requests to servers: their failures as errors, and the choice among several mirrors."""
