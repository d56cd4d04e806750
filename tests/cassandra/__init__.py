"""Laws of the Cassandra adapter beyond the contract, on real nodes."""
