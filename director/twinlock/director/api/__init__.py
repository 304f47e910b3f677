"""The HTTP side of the Director that does not depend on a route."""
