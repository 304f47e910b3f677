"""A Secondary and its server: Uptane 2.1.0 5.4.3."""
