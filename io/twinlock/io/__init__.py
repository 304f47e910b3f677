"""What every part that touches the world shares: the manners of an HTTP server. It knows ``trust`` only."""
