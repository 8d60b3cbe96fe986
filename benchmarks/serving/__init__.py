"""The server under load, beside the bare framework."""
