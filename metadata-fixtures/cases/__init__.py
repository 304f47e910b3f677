"""How the vectors are made from the scenarios: ``capture`` takes one down, ``tree`` lays all of them out as files."""
