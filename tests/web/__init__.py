"""The page to look at, in a real browser."""
