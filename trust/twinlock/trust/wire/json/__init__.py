"""Strict JSON and its canonical form: parsing with places, scanning large objects, the bytes that signatures cover."""
