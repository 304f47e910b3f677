"""The Director's HTTP APIs: for our own client, for aktualizr, and what both share."""
