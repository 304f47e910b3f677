"""What only a Director raises: ``vehicles`` has what it refuses of them, ``operator`` what it cannot do for people."""
