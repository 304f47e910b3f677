"""The operator's work on orders, for one vehicle or thousands."""
