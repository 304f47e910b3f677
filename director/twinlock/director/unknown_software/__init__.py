"""ECUs whose software is unknown, and the orders that are held because of them."""
