"""A small invented encyclopedia: towns, people, companies and rivers, and documents that tell of them.

Nothing in it can be known from elsewhere, so that only searching and reading answers a question about it. It is the
same at each call.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from functools import cache

__all__ = ["RELATIONS", "Entity", "Relation", "encyclopedia"]

_TOWNS, _PEOPLE, _COMPANIES, _RIVERS, _NAMESAKES = 120, 160, 110, 60, 36
_LATEST = 2020

_HEADS = (
    "Ar", "Bel", "Cor", "Dru", "Ev", "Fal", "Gren", "Hol", "Is", "Jor", "Kel", "Lum", "Mar", "Nor", "Ost", "Pel",
    "Quin", "Rav", "Sel", "Tor", "Ul", "Ver", "Wen", "Yar", "Zel", "Bram", "Cas", "Dol", "Esk", "Fen",
)  # fmt: skip
_MIDDLES = ("a", "e", "i", "o", "u", "ani", "eli", "ori", "umi", "ado", "ene", "ila")
_TAILS = {
    "town": ("dorf", "wick", "mere", "stead", "burg", "ford", "holm", "gate"),
    "person": ("s", "nsen", "vic", "rez", "tti", "kova", "man", "dale"),
    "company": ("tec", "works", "lux", "dyne", "corp", "nova", "metal", "line"),
    "river": ("ne", "sse", "lva", "ra", "gua", "th", "mbe", "nde"),
}
_FIRST_NAMES = (
    "Alma", "Bruno", "Clara", "Dario", "Edith", "Felix", "Greta", "Hugo", "Irma", "Jonas", "Kira", "Leon", "Mila",
    "Nils", "Olga", "Pavel", "Rosa", "Simon", "Tilda", "Viktor",
)  # fmt: skip


@dataclass(eq=False)
class Entity:
    """Something that has a document of its own.

    Attributes:
        kind: ``town``, ``person``, ``company`` or ``river``.
        name: What questions call it.
        title: Its document's title; the name, and the kind where something else has the name too.
        facts: Relation -> the entity or the number that it leads to.
    """

    kind: str
    name: str
    title: str
    facts: dict[str, Entity | int] = field(default_factory=dict, repr=False)

    @property
    def shared(self) -> bool:
        """Whether something else has the same name."""
        return self.title != self.name


@dataclass(frozen=True, kw_only=True)
class Relation:
    """Something that documents of a kind tell.

    Attributes:
        of: Kind of the entity.
        to: Kind of what it leads to; ``year`` or ``number`` for numbers.
        sentence: How the document says it; ``{x}`` is the entity, ``{y}`` what it leads to.
        phrase: How a question names what it leads to; of a number, how it asks.
        other: The same in the split ``phrasing``.
    """

    of: str
    to: str
    sentence: str
    phrase: str
    other: str


RELATIONS: dict[str, Relation] = {
    "mayor": Relation(
        of="town",
        to="person",
        sentence="The mayor of {x} is {y}.",
        phrase="the mayor of {x}",
        other="the person who is mayor in {x}",
    ),
    "river": Relation(
        of="town",
        to="river",
        sentence="{x} lies on the river {y}.",
        phrase="the river on which {x} lies",
        other="the river that flows through {x}",
    ),
    "birthplace": Relation(
        of="person",
        to="town",
        sentence="{x} was born in the town of {y}.",
        phrase="the town in which {x} was born",
        other="the birthplace of {x}",
    ),
    "employer": Relation(
        of="person",
        to="company",
        sentence="{x} used to work for the company {y}.",
        phrase="the company for which {x} used to work",
        other="the former employer of {x}",
    ),
    "seat": Relation(
        of="company",
        to="town",
        sentence="{x} has its seat in the town of {y}.",
        phrase="the town in which {x} has its seat",
        other="the home town of {x}",
    ),
    "founder": Relation(
        of="company",
        to="person",
        sentence="{x} was started by {y}.",
        phrase="the founder of {x}",
        other="the person who started {x}",
    ),
    "founded": Relation(
        of="town",
        to="year",
        sentence="{x} was founded in {y}.",
        phrase="In which year was {x} founded?",
        other="Since which year has {x} been there?",
    ),
    "inhabitants": Relation(
        of="town",
        to="number",
        sentence="{x} has {y} inhabitants.",
        phrase="How many inhabitants does {x} have?",
        other="How many people live in {x}?",
    ),
    "born": Relation(
        of="person",
        to="year",
        sentence="The year of birth of {x} is {y}.",
        phrase="In which year was {x} born?",
        other="What is the year of birth of {x}?",
    ),
    "opened": Relation(
        of="company",
        to="year",
        sentence="{x} opened its doors in {y}.",
        phrase="In which year did {x} open its doors?",
        other="What year saw the opening of {x}?",
    ),
    "staff": Relation(
        of="company",
        to="number",
        sentence="{x} employs {y} people.",
        phrase="How many people does {x} employ?",
        other="How large is the staff of {x}?",
    ),
    "length": Relation(
        of="river",
        to="number",
        sentence="From its spring to its mouth {x} measures {y} kilometres.",
        phrase="How many kilometres long is {x}?",
        other="What is the length of {x} in kilometres?",
    ),
}
"""All relations, by name."""

_OPENINGS = {
    "town": "{x} is a town in the hills, known for its market, its old walls and a festival that is held each autumn.",
    "person": "{x} is known to many for letters and speeches, and is remembered for a quiet and stubborn manner.",
    "company": "{x} is a company that makes tools, lamps and small machines, and sells them at fairs in many places.",
    "river": "{x} is a river that rises among pines, runs past meadows and mills, and is loved by those who fish.",
}
_FILLERS = (
    "Visitors often come in early summer, when the weather is mild and the roads are dry.",
    "Little was written down before the great fire, so that much of what is told about those times is legend.",
    "A short film that was made some years ago shows what daily life was like, without a word being spoken.",
    "Several songs mention the name, though nobody can say for sure which of them is the oldest.",
    "The local newspaper has printed a long series of articles about it, with drawings and old photographs.",
    "Whoever wants to learn more will find a shelf of books on the subject in most libraries.",
)


@cache
def encyclopedia() -> tuple[tuple[Entity, ...], tuple[dict[str, str], ...]]:
    """The entities, and the documents that tell of them as :func:`mentor.tools.search` takes them."""
    rng = random.Random("encyclopedia")
    taken: set[str] = set()
    entities = [
        Entity(kind, name, name)
        for kind, count in (("town", _TOWNS), ("person", _PEOPLE), ("company", _COMPANIES), ("river", _RIVERS))
        for name in (_name(kind, rng, taken) for _ in range(count))
    ]
    # Some rivers and companies are called like a town.
    towns = [entity for entity in entities if entity.kind == "town"][:_NAMESAKES]
    named = [entity for entity in entities if entity.kind in ("river", "company")]
    for town, other in zip(towns, rng.sample(named, _NAMESAKES), strict=True):
        other.name, other.title, town.title = town.name, f"{town.name} ({other.kind})", f"{town.name} (town)"
    for entity in entities:
        _tell(entity, entities, rng)
    documents = [_document(number, entity, rng) for number, entity in enumerate(entities, 1)]
    return tuple(entities), tuple(documents)


def _name(kind: str, rng: random.Random, taken: set[str]) -> str:
    while True:
        name = rng.choice(_HEADS) + rng.choice(_MIDDLES) + rng.choice(_TAILS[kind])
        if name not in taken:
            taken.add(name)
            return f"{rng.choice(_FIRST_NAMES)} {name}" if kind == "person" else name


def _tell(entity: Entity, entities: list[Entity], rng: random.Random) -> None:
    for name, relation in RELATIONS.items():
        if relation.of != entity.kind:
            continue
        if relation.to == "year":
            low = {"founded": 1100, "born": 1930, "opened": 1850}[name]
            entity.facts[name] = rng.randint(low, {"born": 1995}.get(name, _LATEST))
        elif relation.to == "number":
            entity.facts[name] = rng.randint(40, 9_000)
        else:
            # What has a namesake is named by its title in other documents.
            entity.facts[name] = rng.choice([other for other in entities if other.kind == relation.to])


def _document(number: int, entity: Entity, rng: random.Random) -> dict[str, str]:
    first, second, *others = rng.sample(_FILLERS, 4)
    sentences = list(others)
    for name, fact in entity.facts.items():
        shown = fact.title if isinstance(fact, Entity) else str(fact)
        sentences.append(RELATIONS[name].sentence.format(x=entity.name, y=shown))
    rng.shuffle(sentences)
    # What search shows of a document ends before its facts begin.
    text = " ".join([_OPENINGS[entity.kind].format(x=entity.name), first, second, *sentences])
    return {"id": f"d{number}", "title": entity.title, "text": text}
