"""Identity reacts to nothing: it stands below every other context."""
