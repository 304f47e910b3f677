"""Files: durable ones of our own, those that an operator wrote, and directories in the making."""
