"""What can go wrong, one class for each: fields first, a stable code, the clause enforced, the attack named."""
