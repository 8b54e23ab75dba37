"""Payments reacts to nothing: it is the chain that tells it what happened."""
