"""What the log says to people: patterns, opportunities, recommendation, explanation."""
