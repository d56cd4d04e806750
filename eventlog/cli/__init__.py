"""Room: the command line."""
