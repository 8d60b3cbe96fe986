"""One driver a library. It runs in that library's interpreter and imports nothing of ours but ``traffic``.

``PACKAGES``: distributions whose versions stand in the table. ``entries()``: tuples of

- case: a key of ``benchmarks.peers.cases.CASES``;
- label: what of the library is measured;
- note: how it differs from the others, for the reader of the table;
- make: sets everything up and returns ``run(n)``, which plays n rounds, or returns how many it played.

Nothing but ``run`` is timed. A round is one selection and one update with the reward of the chosen arm. All
drivers draw contexts and rewards from the same laws (``traffic``).
"""
