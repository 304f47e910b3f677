"""Publications: staging, previews, publishing, rotation, Root ceremonies, renewal."""
