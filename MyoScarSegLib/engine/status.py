"""Facts of an engine, and how patient it is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Patience:
    """How long the engine waits for what, in seconds.

    Attributes:
        start: for the first sign of a new process.
        silence: between two signs; a worker that has something to do gives one with every heartbeat.
        loading: between two signs while libraries and models are loaded, during which Python may hold everything up.
        step: for one slice, or one model to load.
        cancel: for a cancel to be answered, before the worker is killed.
    """

    start: float = 60.0
    silence: float = 20.0
    loading: float = 180.0
    step: float = 300.0
    cancel: float = 0.7


@dataclass(frozen=True)
class EngineStatus:
    """Facts for the panel and for reports.

    Attributes:
        state: of the engine.
        python: interpreter of the worker.
        pid: of the worker, None without one.
        python_version: of the worker, empty before it has answered.
        torch: version, empty before it is loaded.
        device: in words, empty before a model is loaded.
        detector, segmenter: names of the loaded models, empty before.
        memory_bytes: resident memory of the worker, None if not known.
        device_memory_bytes: that torch holds on an accelerator, None without one.
        studies: that the engine remembers.
        embeddings: number of slices encoded and kept in memory.
        embedding_bytes: of these.
        restarts: of the worker since the engine was made.
        error: sentence on why there is no worker, or on the last crash; empty if all is well.
        log: the end of what workers wrote to their standard error, to be copied into a report.
    """

    state: str
    python: str
    pid: int | None = None
    python_version: str = ""
    torch: str = ""
    device: str = ""
    detector: str = ""
    segmenter: str = ""
    memory_bytes: int | None = None
    device_memory_bytes: int | None = None
    studies: int = 0
    embeddings: int = 0
    embedding_bytes: int = 0
    restarts: int = 0
    error: str = ""
    log: str = ""
