"""Wire profiles: the one place that knows encodings, field names and file names. Checks never know which one runs."""
