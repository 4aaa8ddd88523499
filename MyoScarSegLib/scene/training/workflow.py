"""What the training tab does, without the tab: a library of corrected studies, trainings on it, and what came of them.

Nothing here blocks. Slow work is done by processes of their own: trainings by detached ones that outlive the application,
everything else by children. :meth:`TrainingWorkflow.pump` takes in what they have done. What cannot be done gives a sentence,
:attr:`TrainingWorkflow.error`, and leaves library and models as they were.
"""

from __future__ import annotations

from MyoScarSegLib.scene.training.model_work import ModelWork
from MyoScarSegLib.scene.training.notices import TrainChange
from MyoScarSegLib.scene.training.run_work import RunWork

__all__ = ["TrainChange", "TrainingWorkflow"]


class TrainingWorkflow(RunWork, ModelWork):
    """A library, its trainings, and everything that can be done with them.

    What is begun returns whether it could be: if not, :attr:`error` says why; if so, :attr:`busy` names it until it has ended,
    and :attr:`error` or :attr:`note` then say how.

    Attributes:
        scene: the MRML scene.
        workflow: of the study in hand, and of the models in use.
        estimate_result: of the last measurement; None before one.
        preview_picture: PNG of the last preview of the augmentation; None before one.
    """
