"""What a Director and its vehicles are up to, at a glance."""
