"""What the networks need beyond Slicer's own Python packages: what is missing, and its installation.

Nothing here runs at start-up, and nothing is installed before the user has seen the plan
(:class:`~MyoScarSegLib.installation.plan.Plan`).
"""
