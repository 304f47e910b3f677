"""What an ECU keeps on its disk: the values of the state and their stored form."""
