"""The proof: what is done to the log, row by row, what must still be true, and a control beside each that must fail."""
