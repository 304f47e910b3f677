"""HTTP as all servers of this project use it: bounded connections and bodies, problems, and quiet logs."""
