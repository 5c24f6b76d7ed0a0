"""Giving a budget to a store on disk: called from native code alone."""
