"""Keys: those that the engine can use, the one count of signatures, and proofs that a stored file was counted."""
