"""Who a container is: owner, repository, version and books, from its manifest, its metadata or its folder's name."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from door43fast.errors import BackendUnavailableError, SourceError
from door43fast.parsers import books
from door43fast.resources.keys import Name, quote_name

MARKERS = (b"manifest.yaml", b"metadata.json")
_VERSIONED = re.compile(r"(?P<name>.+?)[@_-]v?(?P<version>[0-9]+(?:\.[0-9]+)*)(?P<layout>_[0-9a-z]+)?\Z", re.ASCII)
FALLBACK_OWNER = "local"
FALLBACK_VERSION = "0"


class Identity(NamedTuple):
    """A container's name, its identifier (``tn``, ``ult``, ...), its title, and the books of its listed files."""

    name: Name
    identifier: str
    title: str
    books: dict[bytes, str]


def versioned(folder: str) -> tuple[str, str]:
    """``en_ult@v89`` as ``en_ult`` and ``89``; the version is empty if the name has none."""
    match = _VERSIONED.match(folder)
    return (match["name"], match["version"]) if match else (folder, "")


def _text(value: Any) -> str:
    return "" if value is None or isinstance(value, (dict, list)) else str(value).strip()


def _mapping(value: Any) -> dict[Any, Any]:
    return value if isinstance(value, dict) else {}


def _from_yaml(data: bytes, where: str) -> dict[Any, Any]:
    try:
        import yaml
    except ImportError:
        raise BackendUnavailableError(
            f"{where} cannot be read without PyYAML: run pip install 'door43fast[door43]'"
        ) from None
    # The C loader builds the same plain values; it is only there if PyYAML was built with libyaml.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return _mapping(yaml.load(data, Loader=loader))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise SourceError(
            f"{where} is not sound YAML: {str(error).splitlines()[0]}; mend it, or leave it out"
        ) from None


def _books(projects: Any) -> dict[bytes, str]:
    found = {}
    for project in projects if isinstance(projects, list) else ():
        code, path = _text(_mapping(project).get("identifier")).upper(), _text(_mapping(project).get("path"))
        if books.is_book(code) and path:
            found[path.removeprefix("./").encode("utf-8", "surrogateescape")] = code
    return found


def from_manifest(data: bytes, folder: str, version: str, where: str) -> Identity:
    """The identity of a resource container, by its ``manifest.yaml``.

    The repository is ``{language}_{identifier}``, unless the folder's name says the same and more (``en_tn_8col``).
    """
    manifest = _from_yaml(data, where)
    core = _mapping(manifest.get("dublin_core"))
    identifier = _text(core.get("identifier"))
    language = _text(_mapping(core.get("language")).get("identifier"))
    bare, spoken = versioned(folder)
    repository = f"{language}_{identifier}" if language and identifier else bare
    name = Name(
        quote_name(_text(core.get("publisher")) or FALLBACK_OWNER),
        quote_name(bare if bare.startswith(repository) else repository),
        quote_name(_text(core.get("version")) or spoken or version or FALLBACK_VERSION),
    )
    return Identity(name, identifier, _text(core.get("title")), _books(manifest.get("projects")))


def from_metadata(data: bytes, folder: str, version: str, where: str) -> Identity:
    """The identity of a Scripture Burrito, by its ``metadata.json``."""
    import msgspec

    try:
        metadata = _mapping(msgspec.json.decode(data))
    except (msgspec.DecodeError, RecursionError) as error:
        raise SourceError(f"{where} is not sound JSON: {error}; mend it, or leave it out") from None
    identification = _mapping(metadata.get("identification"))
    bare, spoken = versioned(folder)
    owner, repository, version = FALLBACK_OWNER, bare, spoken or version
    for authority in _mapping(identification.get("primary")).values():
        for known, about in _mapping(authority).items():
            if "/" in _text(known):
                owner, _, repository = _text(known).partition("/")
                version = version or _text(_mapping(about).get("revision"))[:10]
    names = [_text(title) for title in _mapping(identification.get("name")).values()]
    name = Name(quote_name(owner), quote_name(repository), quote_name(version or FALLBACK_VERSION))
    return Identity(name, repository.rpartition("_")[2], names[0] if names else "", {})


def from_folder(folder: str, version: str) -> Identity:
    """The identity of what has neither manifest nor metadata, by the name of its folder or archive."""
    bare, spoken = versioned(folder)
    name = Name(FALLBACK_OWNER, quote_name(bare), quote_name(spoken or version or FALLBACK_VERSION))
    return Identity(name, bare.rpartition("_")[2], "", {})
