"""Small stand-ins of the names `qt`, `ctk` and `slicer` that the module uses, on PySide6 and real MRML.

They follow PythonQt's rules, and what they show of a class is asked of ``Testing/support/slicer_facts/qt-api.json``: a member
that the application does not have is an AttributeError here too.
"""
