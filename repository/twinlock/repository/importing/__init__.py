"""Taking over a repository for aktualizr that another tool made."""
