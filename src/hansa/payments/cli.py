"""Payments on the command line: settling is the tick's work, and `hansa reconcile` shows what it could not explain."""
