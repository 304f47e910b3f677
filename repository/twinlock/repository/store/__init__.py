"""Where the bytes are: stores of published files, and images whose bytes are elsewhere (OSTree commits, other hosts)."""
