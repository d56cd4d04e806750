"""Tests of what stands between a library and the log."""
