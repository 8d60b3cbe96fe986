"""Postgres: schema, log, group commit, a process's memory of the log, and the embedded server."""
