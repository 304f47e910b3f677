"""End to end: the command as a user types it, as real processes over real sockets, with real firmware."""
