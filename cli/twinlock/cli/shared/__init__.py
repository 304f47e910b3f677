"""Input, output, options and exit statuses that commands share."""
