"""What the loss for noisy labels buys: training masks spoilt on purpose, with and without its divergence term.

- ``corruptions``: how masks are spoilt, and how much of them is left.
- ``trial``: one training on spoilt masks, and its figures on patients whose masks are not.
- ``study``: all trials, one after the other; a stopped study goes on.
- ``summary``: paired differences with their intervals, as JSON and as a table; ``picture``: the same to look at.

``python -m MyoScarSegLib.training.noise --data FOLDER --split FILE --out FOLDER`` runs it.
"""
