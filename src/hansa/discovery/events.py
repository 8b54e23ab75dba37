"""Discovery publishes nothing: it only follows what others publish."""
