"""The way to servers: what a broken connection is called, and which of several places is asked."""
