"""Roots and vehicle metadata: signing, publishing, serving, readiness, and recovery from a false time."""
