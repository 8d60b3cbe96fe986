"""The calls of a bandit that are a subject of their own, as parts of ``Bandit``."""
