"""The panel's parts. Each binds some widgets of ``Resources/UI/MyoScarSeg.ui`` to the workflow; what they do is done there.

Properties of Qt objects are attributes here, as PythonQt has it (``button.enabled``, ``combo.currentIndex``).
"""
