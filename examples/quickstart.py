"""A durable learner in its own embedded Postgres: select, run, report, prove. Run again, it goes on."""

import asyncio

from nyx_learning import BanditSpec, Categorical, ContextSchema, LearningEngine, Strategy

SPEC = BanditSpec(
    name="quickstart",
    strategies=[Strategy("direct"), Strategy("parallel", {"workers": [2, 4]})],
    context=ContextSchema(task=Categorical(["research", "coding"])),
)


async def main() -> None:
    """Twenty workflows, and what they taught."""
    async with await LearningEngine.open(SPEC) as engine:
        for i in range(20):
            task = ("research", "coding")[i % 2]
            async with engine.execution({"task": task}) as run:  # selects, times, reports
                await asyncio.sleep(0.001)  # here the strategy would run
                run.report(quality=0.9 if (task == "coding") == (run.decision.strategy == "direct") else 0.3)
        for belief in engine.beliefs({"task": "coding"}):
            print(f"{belief.arm_id:20} mean {belief.mean:.2f} ± {belief.sd:.2f}, p {belief.probability:.2f}")
        report = await engine.verify()
        print(f"{report.matched} of {report.decisions} decisions re-derived, sums match: {report.sums_match}")


if __name__ == "__main__":
    asyncio.run(main())
