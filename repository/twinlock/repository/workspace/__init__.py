"""A repository's own directory: configuration, draft, profiles, what is published now."""
