"""Words of a caption, as all text metrics here see them."""

from __future__ import annotations

import re

WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")


def words_of(caption: str) -> list[str]:
    """Lower-case words and numbers in order; punctuation is dropped, apostrophes inside words stay.

    The caption evaluation of COCO tokenises by the Penn Treebank rules of a Java tool and then drops punctuation; on
    plain captions the two agree but for clitics ("dog's" is one word here, two there).

    >>> words_of("A dog's bone, on 2 plates.")
    ['a', "dog's", 'bone', 'on', '2', 'plates']
    """
    return WORD.findall(caption.lower())
