"""The engine over HTTP: bandits, decisions, outcomes and health, for orchestrators in any language."""
