"""Servers and networks of a test's own, to be broken by it."""
