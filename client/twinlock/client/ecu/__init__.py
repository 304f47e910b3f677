"""What one ECU is: the files that its operator or factory wrote."""
