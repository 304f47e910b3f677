"""What every part that touches the world shares: the manners of an HTTP server, and directories in the making."""
