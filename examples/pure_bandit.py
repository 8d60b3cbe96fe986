"""The learner without a database: one process, no clock, the same choices in every run."""

from nyx_learning import Bandit, BanditSpec, Categorical, ContextSchema, Strategy

spec = BanditSpec(
    name="pure",
    seed=7,
    strategies=[Strategy("direct"), Strategy("parallel", {"workers": [2, 4]})],
    context=ContextSchema(task=Categorical(["research", "coding"])),
)
bandit = Bandit(spec)
for i in range(200):
    task = ("research", "coding")[i % 2]
    decision = bandit.select_arm({"task": task}, decision_id=f"wf-{i}")
    bandit.update_reward(
        decision, reward=0.9 if (task == "coding") == (decision.strategy == "direct") else 0.3
    )
for task in ("research", "coding"):
    print(task, {belief.arm_id: round(belief.probability, 3) for belief in bandit.beliefs({"task": task})})
print("verified:", bandit.verify().ok)
