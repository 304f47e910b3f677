"""Planning: which images a vehicle should run, and why a set fits or does not."""
