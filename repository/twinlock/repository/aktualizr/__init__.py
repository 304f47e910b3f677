"""The profile for aktualizr, the client of most vehicles: everything that is published, once more in its form.

One authoring, the same keys, two encodings (``twinlock.trust.wire.aktualizr`` knows the other one). ``writer`` is the profile's
``ProfileWriter``, ``rules`` its ``ProfileRules``.
"""
