"""Images whose bytes are not in the store: OSTree commits, and images that another host serves."""
