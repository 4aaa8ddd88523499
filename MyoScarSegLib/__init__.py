"""MyoScarSeg's library: myocardial scar on LGE cardiac MRI, from study to boxes, mask and mass.

Nothing heavy is imported here. ``torch``, ``ultralytics`` and ``SimpleITK`` load where they are used::

    from MyoScarSegLib.study import read_study
    from MyoScarSegLib.pipeline import Pipeline

    study = read_study("patient/")
    result = Pipeline().run(study)
    print(result.burden.mass_g)
"""

__version__ = "0.1.0"
