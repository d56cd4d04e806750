"""Redis as fleets run it: clusters, sentinels, TLS and rights, on real servers that are broken on purpose."""
