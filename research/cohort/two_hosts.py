"""One cohort across two hosts: network namespaces that a cable joins, a scheduler on one of them, a worker on each, over TLS.

    sudo python -m research.cohort.two_hosts FOLDER [--studies 16]

Needs Linux, root, iproute2 and openssl. The hosts share the disk, as a cluster's nodes share a folder, and the processor: each
has its own name, and no network but the cable. They are taken away at the end; FOLDER keeps inputs, results and logs.
"""

from __future__ import annotations

import argparse
import csv
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from research.cohort.simulate import make

HOSTS = {"cohort-a": "10.77.0.1", "cohort-b": "10.77.0.2"}
SCHEDULER = "tls://10.77.0.1:8786"
STARTS_S, ENDS_S = 120.0, 20.0


def ip(*words: str) -> None:
    """Run `ip`."""
    subprocess.run(["ip", *words], check=True)  # noqa: S607 (wherever it is)


@contextmanager
def joined_hosts() -> Iterator[None]:
    """Two namespaces, and a pair of network devices with one end in each."""
    try:
        for host in HOSTS:
            ip("netns", "add", host)
        ip("link", "add", "cable-a", "netns", "cohort-a", "type", "veth", "peer", "name", "cable-b", "netns", "cohort-b")
        for host, address in HOSTS.items():
            ip("-n", host, "address", "add", f"{address}/24", "dev", f"cable-{host[-1]}")
            ip("-n", host, "link", "set", f"cable-{host[-1]}", "up")
            ip("-n", host, "link", "set", "lo", "up")
        yield
    finally:
        for host in HOSTS:
            subprocess.run(["ip", "netns", "delete", host], check=False)  # noqa: S607


def on(host: str, *words: object) -> list[str]:
    """A command line that runs Python on a host under its own name."""
    named = ["unshare", "--uts", "sh", "-c", 'hostname "$0"; exec "$@"', host]
    return ["ip", "netns", "exec", host, *named, sys.executable, "-m", *map(str, words)]


def certificates(folder: Path) -> dict[str, Path]:
    """A certificate for the run that is its own authority."""
    key, cert = folder / "key.pem", folder / "cert.pem"
    made = ["-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=cohort", "-keyout", str(key), "-out", str(cert)]
    subprocess.run(["openssl", "req", *made], check=True, capture_output=True)  # noqa: S607
    key.chmod(0o600)
    return {"ca": cert, "cert": cert, "key": key}


@contextmanager
def cluster(folder: Path, tls: dict[str, Path]) -> Iterator[None]:
    """A scheduler and two workers, started as docs/batch.md says, with their logs in a folder."""
    files = ["--tls-ca-file", tls["ca"], "--tls-cert", tls["cert"], "--tls-key", tls["key"], "--no-dashboard"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    running = []

    def start(log: str, command: list[str]) -> None:
        with (folder / log).open("w") as file:
            running.append(subprocess.Popen(command, stdout=file, stderr=file, env=environment))

    try:
        where = ["--protocol", "tls", "--host", HOSTS["cohort-a"], "--port", 8786]
        start("scheduler.log", on("cohort-a", "distributed.cli.dask_scheduler", *where, *files))
        for host, address in HOSTS.items():
            scratch = ["--local-directory", folder / f"scratch-{host}", "--memory-limit", "4GB", "--death-timeout", int(STARTS_S)]
            options = ["--name", host, "--host", address, "--nthreads", 2, *scratch, *files]
            start(f"{host}.log", on(host, "distributed.cli.dask_worker", SCHEDULER, *options))
        yield
    finally:
        for process in reversed(running):
            process.terminate()
        for process in running:
            with suppress(subprocess.TimeoutExpired):
                process.wait(ENDS_S)


def ask(tls: dict[str, Path], workers: int = 0) -> dict[str, int]:
    """How many tasks each host's worker has done; waits until there are so many workers. To be run on one of the hosts."""
    import socket

    from distributed import Client
    from distributed.security import Security

    files = {"tls_ca_file": tls["ca"], "tls_client_cert": tls["cert"], "tls_client_key": tls["key"]}
    security = Security(require_encryption=True, **{name: str(file) for name, file in files.items()})
    with Client(SCHEDULER, security=security, timeout=STARTS_S) as client:
        if workers:
            client.wait_for_workers(workers, timeout=STARTS_S)
        done = client.run(lambda dask_worker: (socket.gethostname(), dask_worker.state.executed_count))
        return dict(done.values())


def run(folder: Path, studies: int) -> int:
    """All of it. Returns the exit status: 0 if all studies are done and both hosts did some."""
    inputs, out, logs = folder / "in", folder / "out", folder / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    make(inputs, studies, None)
    tls = certificates(logs)
    asked = on("cohort-a", "research.cohort.two_hosts", folder, "--ask")
    with joined_hosts(), cluster(logs, tls):
        subprocess.run(asked, check=True, capture_output=True)
        begun = time.monotonic()
        options = ["--scheduler", SCHEDULER, "--tls-ca", tls["ca"], "--tls-cert", tls["cert"], "--tls-key", tls["key"]]
        ran = subprocess.run(on("cohort-a", "MyoScarSegLib", "batch", inputs, "-o", out, *options), check=False)
        seconds = time.monotonic() - begun
        by_host = subprocess.run(asked, check=True, capture_output=True, text=True).stdout.split()
    with (out / "results.csv").open() as file:
        done = sum(row["status"] == "done" for row in csv.DictReader(file))
    records = len(list(out.glob("*/record.json")))
    print(f"{done} of {studies} done, {records} records, in {seconds:.0f} s; tasks {', '.join(by_host)}; exit {ran.returncode}")
    shared = len(by_host) == len(HOSTS) and all(int(one.partition("=")[2]) > 0 for one in by_host)
    return int(not (ran.returncode == 0 and done == records == studies and shared))


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--studies", type=int, default=16)
    parser.add_argument("--ask", action="store_true", help=argparse.SUPPRESS)
    told = parser.parse_args()
    folder = told.folder.resolve()
    if told.ask:
        logs = folder / "logs"
        found = ask({"ca": logs / "cert.pem", "cert": logs / "cert.pem", "key": logs / "key.pem"}, len(HOSTS))
        print(*(f"{host}={count}" for host, count in sorted(found.items())), sep="\n")
        return 0
    return run(folder, told.studies)


if __name__ == "__main__":
    sys.exit(main())
