"""A Primary and its update cycle: Uptane 2.1.0 5.4.2."""
