"""Values of the Director: vehicles, reports, plans, judgements, software, event codes."""
