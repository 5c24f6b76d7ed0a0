"""The budget of a store on disk: called from native code alone."""
