"""What templates cost a sentence model of the shape of MiniLM-L6: `python -m tests.embedding_cost`; one core."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil

sys.path.insert(0, str(Path(__file__).parent))
from tokenizers import Tokenizer

from sentence_models import Encoder, words, write
from tocsin.app.sentence_model import SentenceModel
from tocsin.stats.alike import alike, by_words

TOKENS, TEMPLATES = 30_522, 200
SAID = (
    "connection to database refused by host after retries login of user failed order saved for customer request took "
    "ms loaded model onto gpu out of memory timeout while reading body from upstream cache miss for key in region "
    "payment accepted queue full dropping message cannot open file permission denied worker restarted checkpoint written"
)


def tokenizer() -> Tokenizer:
    """One of as many tokens as BERT's, words that nobody says among them."""
    made = words([SAID])
    made.add_tokens([f"unsaid{k}" for k in range(TOKENS - made.get_vocab_size())])
    return made


def templates(words_each: int) -> list[str]:
    """Different texts of so many words."""
    draw = np.random.default_rng(3)
    return [" ".join(draw.choice(SAID.split(), words_each)) + " <*>" for _ in range(TEMPLATES)]


def timed(what):
    """What comes out, and seconds of one core that it took."""
    began = time.process_time()
    found = what()
    return found, time.process_time() - began


def main() -> None:
    """Print what loading, reading and grouping take."""
    with tempfile.TemporaryDirectory() as at:
        place = write(Path(at), Encoder(TOKENS).model(), tokenizer())
        size = (place / "model.onnx").stat().st_size
        before = psutil.Process().memory_info().rss
        model, took_s = timed(lambda: SentenceModel(place))
        held = psutil.Process().memory_info().rss - before
        print(f"model of {size / 1e6:.0f} MB, 6 layers of 384: loaded in {took_s:.2f} s, holds {held / 1e6:.0f} MB")
        for words_each in (10, 30, 240):
            texts = templates(words_each)
            made, took_s = timed(lambda: model.vectors(texts))  # noqa: B023 - called at once
            _, group_s = timed(lambda: alike(made.astype("f8"), 0.8))  # noqa: B023 - called at once
            _, hashed_s = timed(lambda: by_words(texts))  # noqa: B023 - called at once
            print(
                f"{TEMPLATES} templates of {words_each} words: {took_s:.2f} s, {1e3 * took_s / TEMPLATES:.1f} ms each; "
                f"grouped in {1e3 * group_s:.0f} ms; hashed words: {1e3 * hashed_s:.0f} ms"
            )
        print(f"held after that: {(psutil.Process().memory_info().rss - before) / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
