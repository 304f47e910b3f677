"""The wire profile of aktualizr at the Director: its files, its Root chain, and what its clients can and cannot do.

Nothing else in the Director knows how that profile is written; ``director.setup.create`` hands it to the parts that need it.
"""
