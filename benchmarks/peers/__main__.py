"""``python -m benchmarks.peers``: see ``compare``."""

from .compare import main

main()
