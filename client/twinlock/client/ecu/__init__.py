"""What every ECU has, Primary or Secondary: its approvals, its evidence, what it runs."""
