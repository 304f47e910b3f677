"""The checks of Uptane 2.1.0 5.4.4, one procedure a file. Each returns new state or raises; none changes anything."""
