"""Parts of the benchmark of the durable path."""
