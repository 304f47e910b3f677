"""What every part that touches the world shares: HTTP of a server, files that an operator wrote, directories in the making."""
