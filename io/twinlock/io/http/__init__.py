"""HTTP as all servers of this project speak it: bounded connections and bodies, problems, and quiet logs."""
