"""The command `eventlog`, run as users run it, and the demo."""
