"""A Director's directory: how it is made, and the configuration in it."""
