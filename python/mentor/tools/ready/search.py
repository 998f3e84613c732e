"""Tools that search the user's documents by keywords (BM25), on the host."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import orjson

from mentor.errors import DataError, InputError
from mentor.tools.toolset import ToolSet

__all__ = ["SearchIndex", "search"]

_MAX_RESULTS = 50
_MAX_QUERY = 1_000
_PAGE = 10_000
_SNIPPET = 240
_WORDS = re.compile(r"\w+")

Documents: TypeAlias = "Iterable[str | Mapping[str, Any]] | str | os.PathLike[str]"


@dataclass(frozen=True)
class _Document:
    id: str
    title: str
    text: str


class SearchIndex:
    """Documents, and an index of their words. `search` and `open_document` are the tools.

    Args:
        documents: Texts, mappings with ``text`` and perhaps ``id`` and ``title``, or the path of a file of such JSON
            objects, one a line. Without an id, documents are numbered from 1.

    Raises:
        InputError: There is no document, or one is unusable; the message names it. Also where bm25s is not installed.
        DataError: A line of the file is unusable.
        TypeError: `documents` is nothing of the kind.
    """

    def __init__(self, documents: Documents) -> None:
        try:
            import bm25s
            from bm25s.stopwords import STOPWORDS_EN
        except ImportError as error:
            raise InputError("search needs the package bm25s: pip install 'mentor-rs[search]'") from error
        self._documents = _read(documents)
        self._places = {document.id: place for place, document in enumerate(self._documents)}
        # Titles count as part of the text.
        words = [_words(f"{document.title} {document.text}") for document in self._documents]
        self._index = bm25s.BM25()
        self._common = frozenset(STOPWORDS_EN)
        self._known: Mapping[str, int] = {}
        if any(words):  # else there is nothing to index
            self._index.index(words, show_progress=False)
            self._known = self._index.vocab_dict

    def search(self, query: str, k: int = 5) -> list[dict[str, Any]]:
        """Search the documents for words, such as "capital France". The best ones come first.

        Args:
            query: Words that the document should have; a document with some of them is found too.
            k: How many documents to list, at most 50.

        Returns:
            For each document: id (for open_document), title, snippet and score. Empty where no word occurs.
        """
        if not 1 <= k <= _MAX_RESULTS:
            raise ValueError(f"k must be from 1 to {_MAX_RESULTS}, not {k}")
        if len(query) > _MAX_QUERY:
            raise ValueError(f"the query has {len(query)} characters; at most {_MAX_QUERY} are searched for")
        words = _words(query)
        if not words:
            raise ValueError("the query has no words; give some that the document should have")
        # In few documents "of" is as rare as a name; where a query has nothing else, it counts.
        words = [word for word in words if word not in self._common] or words
        known = [word for word in words if word in self._known]
        if not known:
            return []
        scores = self._index.get_scores(known)
        # Equal scores keep the order of the documents.
        order = (-scores).argsort(kind="stable")[:k]
        return [self._found(int(place), float(scores[place]), known) for place in order if scores[place] > 0]

    def open_document(self, id: str, page: int = 1) -> dict[str, Any]:
        """Read a document that search has found.

        Args:
            id: Its id.
            page: Which part of a long document, counted from 1; a page has 10,000 characters.

        Returns:
            id, title, text of the page, page, and pages, their number.
        """
        if id not in self._places:
            raise LookupError(f"there is no document {id[:60]!r}; search lists ids")
        document = self._documents[self._places[id]]
        pages = max(1, -(-len(document.text) // _PAGE))
        if not 1 <= page <= pages:
            raise ValueError(f"page must be from 1 to {pages}, not {page}")
        text = document.text[(page - 1) * _PAGE : page * _PAGE]
        return {"id": document.id, "title": document.title, "text": text, "page": page, "pages": pages}

    def _found(self, place: int, score: float, words: list[str]) -> dict[str, Any]:
        document = self._documents[place]
        snippet = _snippet(document.text, set(words))
        return {"id": document.id, "title": document.title, "snippet": snippet, "score": round(score, 4)}


def _words(text: str) -> list[str]:
    return [word.casefold() for word in _WORDS.findall(unicodedata.normalize("NFKC", text))]


def _snippet(text: str, words: set[str]) -> str:
    """The text around the first of the words."""
    at = next((match.start() for match in _WORDS.finditer(text) if match[0].casefold() in words), 0)
    start = 0 if at < _SNIPPET // 2 else at - _SNIPPET // 4
    cut = " ".join(text[start : start + _SNIPPET].split())
    return f"{'... ' if start else ''}{cut}{' ...' if start + _SNIPPET < len(text) else ''}"


def _read(documents: Documents) -> list[_Document]:
    if isinstance(documents, str | os.PathLike):
        path = Path(documents)
        try:
            found = [
                _document(row, number, f"{path}:{line}", DataError)
                for number, (line, row) in enumerate(_lines(path), 1)
            ]
        except OSError as error:
            raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    elif isinstance(documents, Iterable) and not isinstance(documents, Mapping | bytes):
        found = [_document(row, place + 1, f"documents[{place}]", InputError) for place, row in enumerate(documents)]
    else:
        raise TypeError(
            f"documents must be a list of texts or dicts, or the path of a file, not {type(documents).__name__}"
        )
    if not found:
        raise InputError("documents: there is none to search in")
    seen: set[str] = set()
    for document in found:
        if document.id in seen:
            raise InputError(f"documents: two have the id {document.id!r}")
        seen.add(document.id)
    return found


def _lines(path: Path) -> Iterator[tuple[int, Any]]:
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                yield number, orjson.loads(line)
            except orjson.JSONDecodeError as error:
                raise DataError(f"{path}:{number}: no JSON: {error}") from error


def _document(row: Any, number: int, where: str, error: type[InputError | DataError]) -> _Document:
    if isinstance(row, str):
        return _Document(str(number), "", row)
    if not isinstance(row, Mapping):
        raise error(f"{where}: a text or an object with 'text' is wanted, found {type(row).__name__}")
    text, title, name = row.get("text"), row.get("title") or "", row.get("id", number)
    if not isinstance(text, str) or not isinstance(title, str):
        raise error(f"{where}: 'text' must be text, and 'title' too where there is one")
    if isinstance(name, bool) or not isinstance(name, str | int):
        raise error(f"{where}: 'id' must be text or a whole number, not {type(name).__name__}")
    return _Document(str(name), title, text)


def search(documents: Documents) -> ToolSet:
    """Two tools, ``search`` and ``open_document``, over your documents; needs the extra ``mentor-rs[search]``.

    They run on the host, in this process. The index (BM25) is made now and kept in memory.

    Args:
        documents: Texts, mappings with ``text`` and perhaps ``id`` and ``title``, or the path of a file of such JSON
            objects, one a line. Without an id, documents are numbered from 1.

    Raises:
        InputError: There is no document, or one is unusable; the message names it. Also where bm25s is not installed.
        DataError: A line of the file is unusable.
        TypeError: `documents` is nothing of the kind.

    Example:
        >>> tools = search([{"id": "fr", "title": "France", "text": "Its capital is Paris."}, "Cats sleep a lot."])
        >>> [found["id"] for found in tools.call("search", {"query": "capital of France"}).value]
        ['fr']
    """
    index = SearchIndex(documents)
    return ToolSet.from_host([index.search, index.open_document])
