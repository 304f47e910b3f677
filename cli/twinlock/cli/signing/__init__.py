"""Commands of every party that signs: its keys, Root in several places, a clock that was wrong."""
