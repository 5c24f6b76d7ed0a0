# The saving of synced states is called from native code alone.
