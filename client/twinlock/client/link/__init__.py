"""The link between a Primary and its Secondaries, whatever the bus."""
