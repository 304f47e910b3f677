"""Mutation testing of the trust engine: break it in small ways, one at a time, and see whether a test notices.

``make mutants`` prints what no test noticed. A survivor in ``checks/`` is a failure, unless ``survivors.toml`` names it
and says why nothing can tell it from the original.

The project has its own tool, because mutmut (3.8) finds sources in ``./``, ``src/`` and ``source/`` only, and neither
removes a ``raise`` nor looks into classes; cosmic-ray starts a process for every mutant, which takes hours here.

Belongs here: making mutants, choosing and running tests, judging the outcome. Does not belong here: tests that kill.
"""
