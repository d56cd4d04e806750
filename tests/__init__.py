"""The laws of the house; a test's name is a sentence of the specification."""
