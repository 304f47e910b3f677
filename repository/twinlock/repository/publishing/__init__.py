"""Publishing: preflight, publication, rotation, Root ceremonies, renewal, revoked keys."""
