"""The authoring side of the Image repository: images and delegations on their way into the next publication."""
