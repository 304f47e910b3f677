"""State: what a vehicle trusts as values, the floors below which it accepts nothing, and its map of repositories."""
