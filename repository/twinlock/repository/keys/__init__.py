"""Private keys: where they are, under which passphrase, and how new ones come into being."""
