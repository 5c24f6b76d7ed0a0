"""Stores made of other stores: the cascade, a memory store over a slower one, and what stores in Python build on."""

from door43fast.layers.cascade import Cascade, cascade, weigh_shared
from door43fast.layers.forwarding import Call, Forwarding, Wrapper

__all__ = ["Call", "Cascade", "Forwarding", "Wrapper", "cascade", "weigh_shared"]
