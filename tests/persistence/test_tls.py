"""TLS as the DSN asks for it, on a server with a certificate of its own; passwords are never told."""

import asyncio
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import asyncpg
import pytest

from nyx_learning.errors import DatabaseUnavailable
from nyx_learning.persistence.database import close_pool, connect
from nyx_learning.persistence.embedded import start
from nyx_learning.persistence.embedded.account import server_account
from nyx_learning.persistence.single import connected

SECRET = "hunter2"  # noqa: S105 (what must never be shown)


class Tls(NamedTuple):
    port: int
    certificate: Path

    def dsn(self, options: str, password: str = SECRET, host: str = "localhost") -> str:
        return f"postgresql://nyx:{password}@{host}:{self.port}/nyx?{options}"


def _programs() -> Path | None:
    for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
        told = subprocess.run(
            [folder / "pg_config", "--configure"], capture_output=True, text=True, check=False
        )
        if "openssl" in told.stdout and (folder / "initdb").exists():
            return folder
    return None


@pytest.fixture(scope="module")
def tls() -> Iterator[Tls]:
    programs, openssl = _programs(), shutil.which("openssl")
    if programs is None or openssl is None:
        pytest.skip("needs the system's Postgres with TLS, and openssl: the wheel's is built without TLS")
    folder = Path(tempfile.mkdtemp(prefix="nyx-tls-", dir="/tmp"))
    server: subprocess.Popen[bytes] | None = None
    try:
        with start(folder / "data", binaries=programs, durable=False) as made:
            home, dsn = made.home, made.dsn

            async def prepare() -> None:
                connection = await asyncpg.connect(dsn)
                await connection.execute(f"ALTER ROLE nyx PASSWORD '{SECRET}'")
                await connection.close()

            asyncio.run(prepare())
        account = server_account([home / "cluster"])
        certificate, key, rules = home / "server.crt", home / "server.key", home / "hba.conf"
        subprocess.run(
            [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
             "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
             "-keyout", key, "-out", certificate],
            check=True, capture_output=True,
        )  # fmt: skip
        rules.write_text("hostssl all all 127.0.0.1/32 scram-sha-256\n")
        for path in (certificate, key, rules):
            shutil.chown(path, account.uid, account.gid)
            path.chmod(0o600)
        copy = folder / "ca.crt"
        copy.write_bytes(certificate.read_bytes())
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = int(free.getsockname()[1])
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(port),
            "unix_socket_directories": "",
            "hba_file": str(rules),
            "ssl": "on",
            "ssl_cert_file": str(certificate),
            "ssl_key_file": str(key),
            "fsync": "off",
        }
        command = [str(programs / "postgres"), "-D", str(home / "cluster")]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        with (folder / "log").open("wb") as log:
            server = subprocess.Popen(command, stdout=log, stderr=log, **account.popen_arguments())
        found = Tls(port, copy)
        asyncio.run(_ready(found))
        yield found
    finally:
        if server is not None:
            server.terminate()
            server.wait(30)
        shutil.rmtree(folder)


async def _ready(tls: Tls) -> None:
    async with asyncio.timeout(30):
        while True:
            try:
                await (await asyncpg.connect(tls.dsn("sslmode=require"))).close()
            except (OSError, asyncpg.PostgresError):
                await asyncio.sleep(0.05)
            else:
                return


@pytest.mark.parametrize("mode", ["require", "prefer", "verify-ca", "verify-full"])
async def test_what_the_dsn_asks_for(tls: Tls, mode: str) -> None:
    pool = await connect(tls.dsn(f"sslmode={mode}&sslrootcert={tls.certificate}"), connections=1)
    encrypted = await pool.fetchval("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
    await close_pool(pool)
    assert encrypted


REFUSED = {
    "no TLS where the server demands it": ("sslmode=disable", SECRET, "localhost"),
    "a certificate that nobody vouches for": ("sslmode=verify-full", SECRET, "localhost"),
    "a name that is not the certificate's": ("sslmode=verify-full&sslrootcert={ca}", SECRET, "127.0.0.1"),
    "a wrong password": ("sslmode=require", f"{SECRET}-wrong", "localhost"),
    "no such mode": (f"sslmode={SECRET}", SECRET, "localhost"),
    "no such file": (f"sslmode=verify-ca&sslrootcert=/nowhere/{SECRET}.pem", SECRET, "localhost"),
}


@pytest.mark.parametrize("name", list(REFUSED))
async def test_refusals_keep_the_secret(tls: Tls, name: str, caplog: pytest.LogCaptureFixture) -> None:
    options, password, host = REFUSED[name]
    dsn = tls.dsn(options.format(ca=tls.certificate), password, host)
    with pytest.raises(DatabaseUnavailable) as one:
        await connect(dsn, timeout_s=5.0)
    with pytest.raises(DatabaseUnavailable) as other:
        async with connected(dsn, timeout_s=5.0):
            pass
    for caught in (one, other):
        assert caught.value.expected and caught.value.found and caught.value.fix  # noqa: PT018
        if "mode" not in name and "file" not in name:
            assert SECRET not in str(caught.value) + repr(caught.value.__cause__)
        assert f":{SECRET}@" not in str(caught.value)
    assert SECRET not in caplog.text


def test_limits_of_a_session_are_the_dsns_where_it_names_them() -> None:
    from nyx_learning.persistence.sessions import session_settings

    assert session_settings("postgresql://h/d")["statement_timeout"] == "60s"
    own = session_settings("postgresql://h/d?statement_timeout=5s&sslmode=require")
    assert "statement_timeout" not in own
    assert own["idle_in_transaction_session_timeout"] == "60s"
    assert session_settings("postgresql://[h/d")["statement_timeout"] == "60s"


async def test_limits_are_set(database_dsn: str) -> None:
    look = (
        "SELECT current_setting('statement_timeout'), current_setting('idle_in_transaction_session_timeout')"
    )
    for dsn, expected in ((database_dsn, "1min"), (f"{database_dsn}&statement_timeout=5s", "5s")):
        pool = await connect(dsn, connections=1)
        assert tuple((await pool.fetch(look))[0]) == (expected, "1min")
        await close_pool(pool)
