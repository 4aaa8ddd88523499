"""Workers by Slurm for ``myoscarseg batch``.

Needs ``pip install 'myoscarseg[cluster]' dask-jobqueue`` in an environment that all nodes see. Start it on a node that the others
reach, and leave it running; it prints the address for ``--scheduler``. CA, certificate and key are PEM files for you alone.
"""

import signal
import sys
from pathlib import Path

from dask_jobqueue import SLURMCluster
from distributed.security import Security

TLS = Path.home() / ".myoscarseg-tls"
JOBS = 8


def main() -> None:
    """Start the workers and wait."""
    files = {"tls_ca_file": TLS / "ca.pem", "tls_client_cert": TLS / "cert.pem", "tls_client_key": TLS / "key.pem"}
    files |= {f"tls_{who}_{what}": TLS / f"{what}.pem" for who in ("scheduler", "worker") for what in ("cert", "key")}
    cluster = SLURMCluster(
        cores=4,
        processes=1,
        memory="8GB",
        walltime="08:00:00",
        protocol="tls://",
        security=Security(require_encryption=True, **{name: str(file) for name, file in files.items()}),
        shared_temp_directory=str(TLS),
    )
    cluster.scale(jobs=JOBS)
    sys.stdout.write(f"{cluster.scheduler_address}\n")
    sys.stdout.flush()
    signal.pause()


if __name__ == "__main__":
    main()
