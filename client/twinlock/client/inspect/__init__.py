"""Read-only views of an ECU for people: its status, and why it trusts what it trusts."""
