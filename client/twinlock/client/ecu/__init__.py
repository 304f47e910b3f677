"""What every ECU has, Primary or Secondary: its operator's files, its approvals, its evidence, what it runs."""
