"""The demo: a small real orchestrator that learns which strategy suits which workflow."""
