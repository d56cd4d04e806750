"""A machine that does to a log whatever may happen to it, and compares it with a model after each step."""
