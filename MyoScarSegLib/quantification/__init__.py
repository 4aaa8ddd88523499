"""What is measured on a segmented study: scar burden."""

from MyoScarSegLib.quantification.burden import MYOCARDIAL_DENSITY_G_PER_ML, ScarBurden, SliceBurden, scar_burden

__all__ = ["MYOCARDIAL_DENSITY_G_PER_ML", "ScarBurden", "SliceBurden", "scar_burden"]
