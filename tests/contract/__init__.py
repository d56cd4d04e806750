"""One suite that every backend inherits."""
