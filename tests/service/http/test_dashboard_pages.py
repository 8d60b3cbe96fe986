"""The dashboard's pages: what they show of a bandit, of an empty one, and of names that are not honest."""

import asyncio
import re
from html import unescape
from html.parser import HTMLParser
from typing import Any
from urllib.parse import quote

import httpx

from nyx_learning import BanditSpec, Categorical, ContextSchema, Outcome, PolicySpec, Strategy
from nyx_learning.bandit.guardrails import Breaker, Budget, Guardrails

from .conftest import Serve

VIEWS = ("bandit", "health", "patterns", "decisions", "guardrails")


async def told(client: httpx.AsyncClient, bandit: str, n: int = 40, context: Any = None) -> None:
    """Decisions and outcomes over the API."""
    path = f"/v1/bandits/{quote(bandit, safe='')}"
    asked = [
        {"context": context or {"task": ("code", "text")[i % 2], "size": i % 7}, "decision_id": f"wf-{i}"}
        for i in range(n)
    ]
    assert (await client.post(f"{path}/decisions/batch", json={"requests": asked})).status_code == 200
    reports = []
    for i in range(n - 4):
        good = i % 3 != 0
        codes = () if good else ("tool_timeout", "late")
        outcome = Outcome(success=good, duration_s=2.0 + i % 5, error_codes=codes)
        reports.append({"decision_id": f"wf-{i}", "outcome": outcome.to_dict()})
    answer = await client.post(f"{path}/outcomes/batch", json={"reports": reports})
    assert answer.json()["refused"] == 0, answer.text


async def page(client: httpx.AsyncClient, path: str, status: int = 200, **query: str) -> str:
    answer = await client.get(path, params=query)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    return answer.text


def shown(html: str) -> str:
    """What a person reads: without tags, with one space between words."""
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", html))).strip()


async def finished(client: httpx.AsyncClient, path: str, **query: str) -> str:
    """What a page shows when its analyses are there."""
    for _ in range(600):
        html = await page(client, path, 200, **query)
        if "data-pending" not in html:
            return shown(html)
        await asyncio.sleep(0.05)
    raise AssertionError("the analysis never ended")


async def test_a_new_bandit_says_what_to_do_first(client: httpx.AsyncClient) -> None:
    text = shown(await page(client, "/ui/bandit", bandit="orchestration"))
    assert "Nothing has been decided yet" in text
    assert '{"context": {"task": "code", "size": 0.0}' in text
    for view, empty in {
        "health": "Nobody has ordered anything",
        "decisions": "Nothing has been decided yet",
        "guardrails": "None: the learner chooses by itself.",
    }.items():
        assert empty in shown(await page(client, f"/ui/{view}", bandit="orchestration")), view
    text = await finished(client, "/ui/patterns", bandit="orchestration")
    assert "0 of 0 executions met errors" in text
    await forbids_what_it_does_not_need(client)
    await keeps_files_under_addresses_that_change(client)


async def forbids_what_it_does_not_need(client: httpx.AsyncClient) -> None:
    for path in ("/", "/ui/bandit?bandit=orchestration", "/ui/login", "/ui/bandit?bandit=no"):
        headers = (await client.get(path)).headers
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; style-src 'self'; script-src 'self';")
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["x-frame-options"] == "DENY"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"


async def keeps_files_under_addresses_that_change(client: httpx.AsyncClient) -> None:
    found = re.findall(r'"(/ui/static/[^"]+\?v=[0-9a-f]{12})"', await page(client, "/"))
    assert len(found) == 3
    for address in found:
        answer = await client.get(address)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
    assert (await client.get("/ui/static/base.html")).status_code == 404
    assert (await client.get("/ui/static/..%2f..%2fapp.py")).status_code == 404


async def test_an_empty_database_says_how_to_begin(serve: Serve) -> None:
    assert "There is no bandit yet" in shown(await page(await serve(), "/"))


async def test_the_pages_show_what_was_learned(client: httpx.AsyncClient) -> None:
    await told(client, "orchestration")
    text = shown(await page(client, "/"))
    assert "orchestration learning Decisions 40 Mean reward, newest 36" in text
    await shows_rewards_and_choices(client)
    text = shown(await page(client, "/ui/health", bandit="orchestration"))
    assert "final 36" in text
    assert "pending 4" in text
    assert "Waiting longest" in text
    assert "What it is told reaches the log" in text
    text = await finished(client, "/ui/patterns", bandit="orchestration")
    assert "12 of 36 executions met errors" in text
    assert re.search(r"\d+ of 36 executions can be judged", text)
    await finds_a_decision_by_its_id(client)
    for view in VIEWS:
        text = shown(await page(client, f"/ui/{view}", 404, bandit="<b>no"))
        assert "there is no such bandit (bandit_unknown) Expected" in text


async def shows_rewards_and_choices(client: httpx.AsyncClient) -> None:
    html = await page(client, "/ui/bandit", bandit="orchestration")
    text = shown(html)
    assert "Decisions 40 stored" in text
    assert "Success 67 % 50 to 80 %" in text  # Wilson's interval of 24 in 36
    assert "Waiting 4 of the newest 40 without a reward" in text
    assert html.count('<svg class="plot" role="img"') == 2
    assert "Mean reward of 36 rewards in 3 stretches, with 95 % intervals" in html
    assert {"code", "text"} <= set(re.findall(r'<th scope="row">(\w+)</th>', html))  # rows of the heat map
    shares = re.findall(r'class="h\d+">\D*([\d.]+) %', html)
    assert len(shares) == 8  # two kinds of context, four arms
    assert "What is really chosen may differ" not in text


async def finds_a_decision_by_its_id(client: httpx.AsyncClient) -> None:
    text = shown(await page(client, "/ui/decision", bandit="orchestration", id=" wf-1 "))
    assert "Decision wf-1" in text
    assert "task text" in text
    assert re.search(r"chosen with probability \d", text)
    text = await finished(client, "/ui/decision", bandit="orchestration", id="wf-1")
    assert "Expected reward (" in text
    assert "chosen" in text
    missing = await page(client, "/ui/decision", 404, bandit="orchestration", id="wf-900")
    assert 'role="alert"' in missing
    assert 'value="wf-900"' in missing


async def test_events_breakers_and_budgets_are_shown(serve: Serve) -> None:
    budgets = (Budget("dear", limit=20.0, hard=True), Budget("slow", metric="duration_s", limit=1e6))
    spec = BanditSpec(
        name="railed",
        strategies=[Strategy("direct"), Strategy("deep")],
        policy=PolicySpec("uniform"),
        baseline_arm="direct",
        guardrails=Guardrails(breaker=Breaker(), budgets=budgets),
    )
    client = await serve()
    assert (await client.post("/v1/bandits", json=spec.to_dict())).status_code == 200
    order = {"rule": "exclude", "arms": ["deep"], "reason": "too dear"}
    assert (await client.post("/v1/bandits/railed/overrides", json=order)).status_code == 200
    text = shown(await page(client, "/ui/guardrails", bandit="railed"))
    assert re.search(r"exclude deep too dear local, (just now|\d+ s ago) , row 1; until revoked", text)
    assert "All closed." in text
    assert "dear cost, hard 20 each day 0 spent, 0 held, 20 left" in text
    assert "slow duration_s, soft 1e+06" in text or "slow duration_s, soft 1,000,000" in text
    events = await page(client, "/ui/health", bandit="railed")
    assert "local ordered exclude of deep: too dear" in shown(events)
    assert 'class="event guard"' in events


class Elements(HTMLParser):
    """The elements of a page, as a browser finds them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.names, self.attributes, self.scripts = set[str](), set[str](), list[str | None]()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.attributes.update(name for name, _ in attrs)
        if tag == "script":
            self.scripts.append(dict(attrs).get("src"))


EVIL = "\"><img src=x onerror=alert(1)><script>alert('1')</script>{{ 7*7 }}"


async def test_no_text_becomes_markup(serve: Serve) -> None:
    """Names, contexts, ids, reasons and codes come from callers."""
    spec = BanditSpec(
        name=EVIL,
        strategies=[Strategy("direct"), Strategy("<i>arm</i>")],
        context=ContextSchema(task=Categorical([EVIL, "else"])),
        policy=PolicySpec("uniform"),
        baseline_arm="direct",
    )
    client = await serve()
    assert (await client.post("/v1/bandits", json=spec.to_dict())).status_code == 200
    path = f"/v1/bandits/{quote(EVIL, safe='')}"
    asked = {"context": {"task": EVIL}, "decision_id": EVIL}
    assert (await client.post(f"{path}/decisions", json=asked)).status_code == 200
    outcome = Outcome(success=False, error_codes=(EVIL, EVIL), agent_type=EVIL).to_dict()
    for i in range(8):
        one = {"context": {"task": EVIL}, "decision_id": f"{EVIL}{i}"}
        assert (await client.post(f"{path}/decisions", json=one)).status_code == 200
        reported = f"/v1/decisions/{quote(f'{EVIL}{i}', safe='')}/outcome"
        answer = await client.post(reported, json={"outcome": outcome, "source": EVIL})
        assert answer.status_code == 200, answer.text
    order = {"rule": "cap", "arms": ["<i>arm</i>"], "share": 0.5, "reason": EVIL}
    assert (await client.post(f"{path}/overrides", json=order)).status_code == 200
    pages = [await page(client, f"/ui/{view}", bandit=EVIL) for view in VIEWS]
    assert "What is really chosen may differ:" in pages[list(VIEWS).index("bandit")]  # there is an override
    pages.append(await page(client, "/"))
    pages.append(await page(client, "/ui/decision", bandit=EVIL, id=f"{EVIL}3"))
    pages.append(await page(client, "/ui/decision", 404, bandit=EVIL, id=f"no {EVIL}"))
    pages.append(await page(client, "/ui/guardrails", bandit=EVIL, ordered=EVIL))
    for html in pages:
        found = Elements(html)
        assert not {"img", "i", "iframe", "style"} & found.names
        assert not [name for name in found.attributes if name.startswith("on") or name == "style"]
        assert found.scripts == [found.scripts[0]]  # the one file
        assert "alert(1)" in html  # it is there, as text
        assert "{{ 7*7 }}" in unescape(html)
