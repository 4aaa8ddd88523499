"""The numerical phantom: LGE short-axis studies of known scar mass, made from a seed; no data needed.

::

    from MyoScarSegLib.phantom import PhantomSettings, make_phantom

    phantom = make_phantom(7)
    phantom.study, phantom.labels, phantom.scar_mass_g
"""

from MyoScarSegLib.phantom.phantom import Phantom, make_phantom, phantom_slices
from MyoScarSegLib.phantom.phantom_settings import Infarct, PhantomSettings

__all__ = ["Infarct", "Phantom", "PhantomSettings", "make_phantom", "phantom_slices"]
