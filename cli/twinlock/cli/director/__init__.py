"""``twinlock director``: the commands of the Director."""
