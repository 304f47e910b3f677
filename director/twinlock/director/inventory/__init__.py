"""The inventory database: schema, migrations, and the rows of vehicles, history and signed files."""
