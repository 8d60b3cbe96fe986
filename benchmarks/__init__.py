"""Speed tables, printed by ``make bench``; every module here with a ``main()`` is one."""
