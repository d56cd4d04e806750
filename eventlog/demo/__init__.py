"""Room: the show that `eventlog demo` gives."""
