"""What every part that touches the world shares: files and HTTP."""
