"""Momento beyond the contract: long sessions, limits, outages, on a server of ours that is broken on order."""
