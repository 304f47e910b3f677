"""What an ECU keeps on the disk."""
