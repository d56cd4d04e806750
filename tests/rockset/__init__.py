"""Rockset beyond the contract: late visibility, limits, outages, on a server of ours that is broken on order."""
