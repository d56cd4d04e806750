"""Processes that die, at named points and at any instant, and what must still be true afterwards."""
