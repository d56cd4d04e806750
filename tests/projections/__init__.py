"""Laws of the folds, tried against models that are too slow to be wrong."""
