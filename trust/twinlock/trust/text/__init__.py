"""Text: how times are written, and how text of another party is shown."""
