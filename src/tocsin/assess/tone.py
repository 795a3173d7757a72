"""The tone of a text, roughly: by words of thanks, apology and anger in six languages, shouting, and questions.

It tells that replies have begun to apologise or requests to shout; of a single text it says little, and of languages
that it has no words of only shouting and questions.
"""

from __future__ import annotations

import re
from typing import Final

READ: Final = 2_000
"""Characters of a text that are read."""
TONES: Final = ("angry", "apologetic", "warm", "asking", "plain")
_WORD: Final = re.compile(r"[^\W\d_]{2,}")
_SHOUTED: Final = 5
_WORDS: Final = {
    "angry": (
        "angry annoyed annoying awful bad broken complain complaint disappointed disappointing fail fails hate horrible "
        "idiot lawsuit never nonsense pathetic ridiculous scam stupid terrible unacceptable useless worst wrong wütend "
        "schlecht furchtbar unverschämt nutzlos frechheit nul horrible inadmissible inutile pésimo terrible inútil "
        "estafa péssimo ridículo pessimo orribile inutile vergogna"
    ),
    "apologetic": (
        "apologies apologise apologize afraid cannot regret regrets sorry unable unfortunately entschuldigung "
        "entschuldigen leider bedauern désolé désolée excuses malheureusement disculpe disculpas lamento siento "
        "desculpe infelizmente scusi scusa purtroppo dispiace"
    ),
    "warm": (
        "appreciate delighted excellent enjoy glad good great happy kind kindly lovely perfect please pleased pleasure "
        "thank thanks welcome wonderful bitte danke freundlich gerne prima toll bienvenue bonjour merci parfait plaisir "
        "encantado excelente gracias perfecto favor bem obrigada obrigado ótimo grazie ottimo prego volentieri"
    ),
}
_QUESTION_MARKS: Final = ("?", "\uff1f", "\u061f")  # Latin, full width, Arabic
_TONE_OF: Final = {word: tone for tone, words in _WORDS.items() for word in words.split()}


def tone(text: str) -> str:
    """One of `TONES`: the one of most words, of equals the first; without any, whether it asks.

    >>> tone("Thanks a lot, this is great"), tone("I am sorry, I cannot help"), tone("WHERE IS MY ORDER NOW")
    ('warm', 'apologetic', 'angry')
    >>> tone("Where is it?"), tone("The parcel arrived at noon."), tone("")
    ('asking', 'plain', 'plain')
    """
    read = text[:READ]
    words = _WORD.findall(read)
    counts = dict.fromkeys(TONES[:3], 0)
    for word in words:
        found = _TONE_OF.get(word.lower())
        if found is not None:
            counts[found] += 1
    shouted = len(words) >= _SHOUTED and 2 * sum(word.isupper() for word in words) > len(words)
    counts["angry"] += shouted or read.count("!!")
    best = max(counts, key=lambda name: counts[name])
    if counts[best]:
        return best
    return "asking" if read.rstrip().endswith(_QUESTION_MARKS) else "plain"
