"""The Director's verified view of the Image repository."""
