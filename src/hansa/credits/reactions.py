"""Credits reacts to nothing: agents appear in the books when they first hold a credit."""
