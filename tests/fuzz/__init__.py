"""Coverage-guided fuzzing of everything that reads bytes from outside.

``decoders`` names what is fuzzed and says when it has failed; ``__main__`` runs atheris on one of them. ``corpus/NAME``
holds the inputs it starts from, and every input that once found a fault, for ever.
"""
