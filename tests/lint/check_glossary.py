# SPDX-License-Identifier: MIT
"""docs/glossary.md and the code use the same words."""
import functools
import re

from source import code, lines, of_kind, text

GLOSSARY = "docs/glossary.md"
ROOMS = ("lib/", "env/", "compose/", "gateway/", "mgmt-agent/", "recovery-agent/", "relay-client/", "secbox/")
# words that need no entry in a glossary, since they mean here what they mean elsewhere
STANDARD = set("""
    accept action address answer api app argument ask auth bit block body buf buffer ca cache call callback candidate cert
    certificate challenger check child chunk cli client clock command conf config conn connect context count counts cpu credentials
    current data date deadline decision decoder deploy deployed detail dial digest disk duration encoder end entry error event
    exchange expect extra failure fault field figures file filesystem filesystems filter first flag flow folder format
    function handle hash head header history host http id index info input interpolate interval item json jwt kind labels last
    level limit limits line list load local log login loopback map masks match memory method metric mode moment name network
    new next node normaliser number old opcode open option order output owner pair param parent parser part password past path
    peer piece platform pool port process progress proxy public queries queue range reader reason record ref remote render
    reply report reports resolve response restart result retry ring root roots router row rule sample scan schema scope search
    secret sender server set setting shape side signature size socket sort source spare spec ssh state status step stop
    strategy string summary table target temperature template text throttle ticks time tls toml transfer tree type url use
    utf8 validity value verb version view walk warning writer ws yaml
""".split())


def _words(name):
    """SupportSession, support_session, SUPPORT-SESSION and support session are one name."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name)
    return re.sub(r"[^A-Za-z0-9]+", " ", spaced).lower().split()


@functools.lru_cache(maxsize=None)
def _terms():
    """(line number, term); a row's first cell may name several, with commas between."""
    return [(i, term.strip()) for i, line in enumerate(lines(GLOSSARY), 1) if (m := re.match(r"\| (?!term )([a-z][^|]*?) \|", line))
            for term in m.group(1).split(",")]


def _types():
    """(file, line number, name) of each type that a header makes with typedef."""
    pattern = r"^\} *([A-Z]\w*);|^typedef (?:struct|enum|union) \w+ ([A-Z]\w*);"
    for path in of_kind(".h", below=ROOMS):
        for m in re.finditer(pattern, code(path), re.M):
            yield path, code(path).count("\n", 0, m.start()) + 1, m.group(1) or m.group(2)


def glossary_terms_are_the_codes():
    spoken = " ".join(" ".join(_words(text(path))) for path in of_kind(".c", ".h", below=ROOMS))
    for i, term in _terms():
        if not re.search(rf"\b{' '.join(_words(term))}(s|es)?\b", spoken):
            yield f"{GLOSSARY}:{i}: the code does not know \"{term}\""


def glossary_terms_are_there_once():
    seen = {}
    for i, term in _terms():
        if term in seen:
            yield f"{GLOSSARY}:{i}: \"{term}\" is in line {seen[term]} already"
        seen.setdefault(term, i)


def types_are_made_of_known_words():
    known = STANDARD | {word for _, term in _terms() for word in _words(term)}
    for path, line, name in _types():
        for word in _words(name):
            if word not in known and word.removesuffix("s") not in known:
                yield f"{path}:{line}: {name}: \"{word}\" is neither in {GLOSSARY} nor a standard word"


CHECKS = [glossary_terms_are_the_codes, glossary_terms_are_there_once, types_are_made_of_known_words]
