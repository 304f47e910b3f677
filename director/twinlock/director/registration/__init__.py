"""Registration of vehicles, by an operator or with a one-time token."""
