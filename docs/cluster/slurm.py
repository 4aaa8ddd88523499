"""Workers by Slurm for ``myoscarseg batch``.

Needs ``pip install 'myoscarseg[cluster]' dask-jobqueue`` in an environment that all nodes see. Start it there, on a node that the
others reach, and leave it running; it prints the address for ``--scheduler``. Ctrl-C ends it and its jobs. CA, certificate and
key are PEM files for you alone, in a folder that all nodes see.
"""

import signal
import sys
from contextlib import suppress
from pathlib import Path

import dask
from dask_jobqueue import SLURMCluster
from distributed.security import Security

from MyoScarSegLib.batch.cluster import DASK_SETTINGS, WORKER_ENVIRONMENT

TLS = Path.home() / ".myoscarseg-tls"
JOBS = 8


def cluster() -> SLURMCluster:
    """The scheduler, in this process; no worker yet."""
    files = {"tls_ca_file": TLS / "ca.pem", "tls_client_cert": TLS / "cert.pem", "tls_client_key": TLS / "key.pem"}
    files |= {f"tls_{who}_{what}": TLS / f"{what}.pem" for who in ("scheduler", "worker") for what in ("cert", "key")}
    return SLURMCluster(
        cores=4,
        processes=1,
        memory="8GB",
        walltime="08:00:00",
        protocol="tls://",
        security=Security(require_encryption=True, **{name: str(file) for name, file in files.items()}),
        job_script_prologue=[f"export {name}='{value}'" for name, value in WORKER_ENVIRONMENT.items()],
        worker_extra_args=["--no-dashboard"],
        scheduler_options={"dashboard": False},
    )


def main() -> None:
    """Start the workers and wait."""
    with dask.config.set(DASK_SETTINGS), cluster() as workers:
        workers.scale(jobs=JOBS)
        sys.stdout.write(f"{workers.scheduler_address}\n")
        sys.stdout.flush()
        with suppress(KeyboardInterrupt):
            signal.pause()


if __name__ == "__main__":
    main()
