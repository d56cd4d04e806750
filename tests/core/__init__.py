"""The rooms of the core, one file of tests each; a test's name is a sentence of the specification."""
