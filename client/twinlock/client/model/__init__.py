"""Values of an update cycle, and the errors of the client: results, events, verdicts of other parties."""
