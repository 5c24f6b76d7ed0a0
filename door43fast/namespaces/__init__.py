"""Namespaces: many stores in one, none of which can see, change or crowd out another. See docs/namespaces.md."""

from door43fast.namespaces.book import About
from door43fast.namespaces.roll import drop, listed, namespace
from door43fast.namespaces.store import Namespace, NamespaceOptions

__all__ = ["About", "Namespace", "NamespaceOptions", "drop", "listed", "namespace"]
