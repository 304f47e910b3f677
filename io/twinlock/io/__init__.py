"""Files and HTTP, as every part that does I/O uses them."""
