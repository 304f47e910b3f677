"""Values of the Image repository: views, versions, components, findings of an import."""
