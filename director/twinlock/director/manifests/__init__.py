"""Manifests of vehicles: what their reports mean, and how they are judged and recorded."""
