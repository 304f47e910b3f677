"""The authoring side of the Image repository: what it signs, and when it may sign."""
