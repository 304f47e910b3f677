"""The same work on many vehicles at once: one transaction, one result per item."""
