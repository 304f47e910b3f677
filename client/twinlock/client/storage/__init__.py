"""What an ECU stores on its disk: the values of the state and their stored form."""
