"""The Image repository: keys, authoring, publication, storage and serving. Imports ``trust`` and nothing else of ours.

Start at ``image.ImageRepository``, which everything else here is behind.
"""
