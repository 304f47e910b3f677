"""Values of an update cycle: results, events, times."""
