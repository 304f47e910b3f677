"""Parts of the inventory's schema: column types, tables of ways out, and append-only triggers."""
