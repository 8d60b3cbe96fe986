"""The calls of ``LearningEngine`` by subject: thin methods over the parts that do the work."""
