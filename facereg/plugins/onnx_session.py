"""Networks in ONNX Runtime: one way to load them for every detector and segmenter."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnxruntime import InferenceSession


def load_session(network: Path | bytes, threads: int) -> InferenceSession:
    """Load a network for the processor.

    Args:
        network: the file, or its content.
        threads: number of threads that compute one picture; 0 is one for each core.

    Raises:
        Exception: the file is damaged. ONNX Runtime's exceptions have no common base.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    # Threads that spin while they wait take cores from the decoder and the encoder.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    source = str(network) if isinstance(network, Path) else network
    return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
