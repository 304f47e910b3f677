"""The demonstration: two repositories and a vehicle on real sockets, an honest update, then the attacks."""
