"""``twinlock supplier``: the commands of a supplier."""
