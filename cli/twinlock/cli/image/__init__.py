"""``twinlock image``: the commands of the Image repository."""
