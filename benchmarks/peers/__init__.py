"""The same work by this project and by other libraries, side by side: ``python -m benchmarks.peers``."""
