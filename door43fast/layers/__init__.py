"""Stores made of other stores: the cascade, a memory store over a slower one, and what stores in Python build on."""

from door43fast.errors import blames_layer
from door43fast.layers.buffer import Unflushed, WriteBuffer
from door43fast.layers.cascade import Cascade, behind, cascade, over, weigh_shared
from door43fast.layers.fallback import PrimaryFallback, primary_fallback
from door43fast.layers.forwarding import Call, Forwarding, Wrapper
from door43fast.layers.guard import Guard
from door43fast.layers.parallel import Parallel, parallel
from door43fast.layers.readthrough import ReadThrough

__all__ = ["Call", "Cascade", "Forwarding", "Guard", "Parallel", "PrimaryFallback", "ReadThrough", "Unflushed",
           "Wrapper", "WriteBuffer", "blames_layer", "cascade", "parallel", "primary_fallback", "weigh_shared"]
