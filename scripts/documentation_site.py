"""Hooks of the documentation site: README.md is its first page, and links into the repository lead to pages.

The documents link to each other and to the code by paths that a forge understands. A link that leaves `docs/` is
redirected to a page of the site that shows the file or lists the folder, so the site needs no forge, and
`mkdocs build --strict` fails on a link to nothing.
"""

import logging
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
# Where the files of the repository stand in the site.
REPOSITORY = "repository"
LINK = re.compile(r"(\]\()(?!https?:|mailto:|#)([^)#\s]+)(#[^)\s]*)?(\))")
FENCE = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)
MERMAID = re.compile(r"^```mermaid\n.*?^```$", re.MULTILINE | re.DOTALL)
NAMED = re.compile(
    r"`((?:\./)?(?:choregraphie|contracts|services|saga_monitor|scripts|tests|deploy|examples)/[\w./-]*)"
)
LANGUAGES = {".py": "python", ".json": "json", ".toml": "toml", ".yaml": "yaml", ".yml": "yaml", "": "bash"}


# What is logged below this name counts as a warning of the build, and fails a strict one.
log = logging.getLogger("mkdocs.hooks.documentation_site")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add README.md, the documents beside it, and a page for every file of the repository that they link to."""
    waiting = ["README.md", "CONTRIBUTING.md", "DECISIONS.md", "CHANGELOG.md", "SECURITY.md"]
    for document in sorted((ROOT / "docs").glob("*.md")):
        waiting += _outside(f"docs/{document.name}")
    seen: set[str] = set()
    while waiting:
        path = waiting.pop()
        if path in seen or not (ROOT / path).exists():
            continue
        seen.add(path)
        files.append(
            File.generated(config, _place(path), content=_page(path), inclusion=InclusionLevel.NOT_IN_NAV)
        )
        waiting += _outside(path)
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Redirect the links of a document under `docs/`; the generated pages have theirs redirected already."""
    if page.file.generated_by:
        return markdown
    path = f"docs/{page.file.src_uri}"
    for name in missing_files(path):
        log.warning("%s names %s, and there is no such file", path, name)
    return _redirected(markdown, path)


def missing_files(path: str) -> list[str]:
    """The files of the repository that the document at `path` names in backticks and that do not exist."""
    named = NAMED.findall((ROOT / path).read_text(encoding="utf-8"))
    return sorted(name for name in set(named) if not (ROOT / name).exists() and "livraison" not in name)


def _place(path: str) -> str:
    """The page of a repository path, relative to the site's root."""
    if path == "README.md":
        return "index.md"
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    return f"{REPOSITORY}/{path.rstrip('/')}" + ("" if path.endswith(".md") else ".md")


def _page(path: str) -> str:
    if (ROOT / path).is_dir():
        return f"# {path}\n\n" + "".join(f"* [{name}]({_relative(path, name)})\n" for name in _entries(path))
    text = (ROOT / path).read_text(encoding="utf-8")
    if path.endswith(".md"):
        return _redirected(text, path)
    language = LANGUAGES.get(Path(path).suffix, "text")
    return f"# {path}\n\n````{language}\n{text}````\n"


def _relative(folder: str, name: str) -> str:
    return posixpath.relpath(_place(posixpath.join(folder, name)), posixpath.dirname(_place(folder)) or ".")


def _entries(folder: str) -> list[str]:
    """The text files of a folder, in order."""
    found = (path for path in sorted((ROOT / folder).iterdir()) if path.suffix in LANGUAGES and path.is_file())
    return [path.name for path in found]


def _outside(path: str) -> Iterator[str]:
    """The repository paths outside `docs/` that a document links to; of a folder, its files."""
    if (ROOT / path).is_dir():
        yield from (posixpath.join(path, name) for name in _entries(path))
    elif path.endswith(".md"):
        text = FENCE.sub("", (ROOT / path).read_text(encoding="utf-8"))
        targets = (_target(path, found[1]) for found in LINK.findall(text))
        yield from (target for target in targets if not target.startswith("docs/"))


def _target(path: str, link: str) -> str:
    """The repository path that a link of the document at `path` leads to."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), link))


def _redirected(markdown: str, path: str) -> str:
    """The document at `path` with its links as the site has them, and the picture instead of its source."""
    here = posixpath.dirname(_place(path))

    def redirect(found: re.Match[str]) -> str:
        start, link, anchor, end = found.groups()
        return f"{start}{posixpath.relpath(_place(_target(path, link)), here or '.')}{anchor or ''}{end}"

    parts = FENCE.split(markdown)
    text = "".join(part if part.startswith("```") else LINK.sub(redirect, part) for part in parts)
    # A script from elsewhere would have to draw Mermaid; choreography.svg shows the same choreography.
    return MERMAID.sub(f"![The choreography]({posixpath.relpath('choreography.svg', here or '.')})", text)
