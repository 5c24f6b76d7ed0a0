"""Floor 6: Door43 resource containers in a store: import, export byte for byte, and what belongs to a passage."""

from door43fast.resources.exporting import Exported, export_resources
from door43fast.resources.importing import Report, Repository, import_resources, repositories
from door43fast.resources.query import Found, passage

__all__ = [
    "Exported",
    "Found",
    "Report",
    "Repository",
    "export_resources",
    "import_resources",
    "passage",
    "repositories",
]
