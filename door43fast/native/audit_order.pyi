# The audit of the order of eviction is called from native code alone.
