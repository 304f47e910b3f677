"""The second form of an Image repository: everything that is published, for aktualizr, the client of most vehicles.

One authoring, the same keys, two encodings (``twinlock.trust.wire.aktualizr`` knows the other one). ``sealing`` signs one file, ``copies`` makes the
files of one publication, ``standing`` reads back what is published, ``verdict`` has the trust engine judge both, ``names``
keeps what a file name stood for, ``turning_on`` begins, ``serving`` serves, and ``takeover`` goes on with a repository
that other tools made.
"""
