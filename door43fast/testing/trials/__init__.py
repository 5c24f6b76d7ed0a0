"""Random nested plans under random calls and faults, beside a model of what may come of them.

The model, in plain words. For each key there is a set of states that it may be in: a value with its deadline and its
tags, or nothing.

- A call that returned has taken effect, once: the states are what it makes of those that explain its answer. So after
  ``set(k, 1)`` only 1 is possible; after a ``delete`` nothing, whatever befalls the layers later.
- A call that raised may have taken effect or not: the states before stay, and those after it are added. Of a batch this
  holds for each key by itself.
- A read gives one of the states that are possible, and from then on that one is the only one: what is undecided after a
  failure is decided by the first answer, and does not change back. (While a late call is still under way it is not.)
- A deadline that has passed makes a state nothing; a tag that is invalidated likewise.
- Two calls at once are explained if, for each key, one order of the two explains both.
- A call raises only if a layer failed in it, is failing, or has not been found healthy since.
- A promotion changes nothing. Where it met a failure of a layer, what was written since the last write that was
  acknowledged may be gone with the member that had it, also if it was read.
- When all layers are back and it was flushed, each layer that shall hold everything holds for each key the one
  state that is left, and a cache holds that or nothing.
- After a ``close`` that returned, the layers hold what was acknowledged. One that raised has said that something may be
  lost: each key then has one of the states that it had since the last flush that returned.
"""
