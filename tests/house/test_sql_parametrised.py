"""No statement is put together from strings: every call to the database takes a query by its name."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = (
    "bandit",
    "features",
    "insights",
    "nyx_learning",
    "persistence",
    "rewards",
    "service",
    "simulation",
)
CALLS = {"execute", "executemany", "fetch", "fetchrow", "fetchval", "fetchmany", "cursor", "prepare"}
COPIES = {"copy_records_to_table", "copy_to_table", "copy_from_table", "copy_from_query"}
ALLOWED = {
    # (file, what stands there): it comes from a file of ours, or from the catalogue, quoted by Postgres.
    ("persistence/migrations.py", "migration.sql"),
    ("persistence/migrations.py", "roles_sql()"),
    ("persistence/thought_trees.py", "statement"),
}


def statements(tree: ast.AST) -> list[ast.expr]:
    """The first arguments of all calls that send SQL."""
    return [
        node.args[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in CALLS
        and node.args
    ]


def is_named(node: ast.expr) -> bool:
    called = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "query"
    constant = isinstance(node, ast.Constant) and not isinstance(node.value, str)  # cursor.fetch(100)
    return constant or called


def offences(path: Path) -> list[str]:
    tree = ast.parse(path.read_text("utf-8"))
    if "asyncpg" not in path.read_text("utf-8") and "queries import" not in path.read_text("utf-8"):
        return []
    name = path.relative_to(ROOT).as_posix()
    found = [node for node in statements(tree) if not is_named(node)]
    told = [
        f"{name}:{node.lineno}: {ast.unparse(node)}"
        for node in found
        if (name, ast.unparse(node)) not in ALLOWED and not _number(node)
    ]
    words = ("SELECT ", "INSERT INTO ", "UPDATE nyx", "DELETE FROM ", "ALTER ", "DROP ", "CREATE TABLE")
    built = [node for node in ast.walk(tree) if isinstance(node, ast.JoinedStr | ast.BinOp)]
    told += [
        f"{name}:{node.lineno}: SQL from strings: {ast.unparse(node)[:80]}"
        for node in built
        if any(word in ast.unparse(node) for word in words)
    ]
    return told


def _number(node: ast.expr) -> bool:
    """``cursor.fetch(_PAGE)``: how many rows, not what."""
    return isinstance(node, ast.Name) and node.id.isupper()


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_statement_has_a_name(folder: str) -> None:
    found = [told for path in sorted((ROOT / folder).rglob("*.py")) for told in offences(path)]
    assert found == []


@pytest.mark.parametrize(
    "line",
    [
        "connection.execute(f'SELECT {x}')",
        "connection.fetch('SELECT ' + x)",
        "pool.fetchval('SELECT %s' % x)",
        "pool.execute(statement)",
        "text = f'DELETE FROM {table}'",
    ],
)
def test_it_finds_what_it_looks_for(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    (tmp_path / "bad.py").write_text(f"import asyncpg\n{line}\n")
    assert len(offences(tmp_path / "bad.py")) >= 1
