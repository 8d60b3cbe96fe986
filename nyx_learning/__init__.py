"""NYX Learning: a deterministic, seeded contextual bandit for orchestrators of AI agents."""
__version__ = "0.1.0"
