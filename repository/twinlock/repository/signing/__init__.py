"""Signing metadata: the plan, the signatures, and the clock that permits them."""
