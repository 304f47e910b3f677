"""The second form of an Image repository: everything that is published, for aktualizr, the client of most vehicles.

One authoring, the same keys, two encodings (``twinlock.trust.wire.aktualizr`` knows the other one). ``second`` is the profile's
``ProfileWriter``, ``rules`` its ``ProfileRules``.
"""
