"""What pyproject.toml cannot say: the folder Resources is installed as part of the package."""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["MyoScarSegLib*"]), "MyoScarSegLib.Resources"],
    package_dir={"MyoScarSegLib.Resources": "Resources"},
)
