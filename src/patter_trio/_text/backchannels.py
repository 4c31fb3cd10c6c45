"""What listeners say to show that they listen, by language: words that ask for no answer.

Collected from everyday usage; one entry is a phrase as :func:`~patter_trio._text.words.normalise` gives it.
"""

from __future__ import annotations

__all__ = ["BACKCHANNELS", "backchannels_of"]

# Sounds that mean the same everywhere.
_SOUNDS = "mm|mmm|mhm|mmhm|mm hm|mhmm|mm mm|hm|hmm|uh|uh huh|ah|aha|oh|okay|ok"

BACKCHANNELS: dict[str, str] = {
    "en": "yeah|yep|yup|yes|right|sure|alright|all right|got it|i see|of course|exactly|true|good|great|nice|"
    "cool|fine|really|wow|indeed|go on|makes sense|fair enough|uhuh|yeah yeah|oh okay|oh i see",
    "de": "ja|jaja|ja ja|genau|richtig|klar|gut|alles klar|verstehe|ach so|achso|stimmt|aha|na gut|gerne|"
    "in ordnung|natürlich|eben|soso|schön",
    "es": "sí|si|sí sí|claro|vale|ya|ajá|aja|bueno|bien|exacto|entiendo|de acuerdo|cierto|perfecto|ya veo|"
    "muy bien|por supuesto",
    "fr": "oui|ouais|oui oui|daccord|bien sûr|exact|exactement|je vois|ah bon|voilà|voila|bon|"
    "très bien|entendu|tout à fait|ouaip",
    "it": "sì|si|sì sì|certo|va bene|vabbè|esatto|giusto|capito|capisco|ho capito|bene|già|daccordo|"
    "perfetto|ecco|ah ecco",
    "pt": "sim|tá|tá bom|está bem|certo|claro|pois|pois é|exato|entendi|entendo|beleza|isso|bom|muito bem|"
    "com certeza|percebo",
    "nl": "ja|jaja|ja ja|precies|oké|goed|klopt|inderdaad|snap ik|natuurlijk|prima",
    "hi": "हाँ|हां|जी|अच्छा|ठीक है|ठीक|सही|बिल्कुल|हाँ हाँ",
    "ja": "はい|うん|ええ|そうですね|なるほど|そうですか|そう",
    "zh": "嗯|对|好|好的|是|是的|明白|哦|对对|嗯嗯",
}


def backchannels_of(language: str) -> frozenset[str]:
    """The phrases of a BCP 47 tag's language, and the sounds of all; only the sounds for an unknown one."""
    own = BACKCHANNELS.get(language.partition("-")[0].lower(), "")
    return frozenset(filter(None, (*own.split("|"), *_SOUNDS.split("|"))))
