"""The order of the steps: walking Roots, refreshing a repository, searching delegations, verifying an order."""
