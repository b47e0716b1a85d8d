"""Processes that this one starts, so that none is left behind."""

import multiprocessing
import os
import signal
from multiprocessing.process import BaseProcess
from threading import Thread


def end_with_parent() -> None:
    """Let this process be told to end, by SIGTERM, when the one that started it has ended.

    The processes of a pool wait for work at a pipe that they hold open for each other. So they
    would wait for ever once their parent was killed.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: BaseProcess) -> None:
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
