"""An embedded Postgres: a server of ready binaries that lives as long as somebody uses it.

    with start(Path("~/.local/share/nyx-learning/postgres").expanduser()) as server:
        connection = await asyncpg.connect(server.dsn)

No root, no Docker, no system server, no TCP port. `supervisor.py` tells how the server ends,
`layout.py` where everything is, `account.py` what root does.
"""

from .binaries import Binaries, find_binaries
from .cluster import server_settings
from .server import EmbeddedServer, start

__all__ = ["Binaries", "EmbeddedServer", "find_binaries", "server_settings", "start"]
