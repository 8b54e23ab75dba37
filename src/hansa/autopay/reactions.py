"""Autopay reacts to nothing: it is the buyer that tells, and the chain that decides."""
