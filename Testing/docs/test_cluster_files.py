"""The files for clusters say what Dask of today understands, and give workers elsewhere the settings of those here."""

from __future__ import annotations

import runpy
import signal
import sys
from types import SimpleNamespace
from unittest.mock import MagicMock

import dask
import pytest
import yaml
from distributed.cli import dask_scheduler, dask_worker

from MyoScarSegLib.batch.cluster import DASK_SETTINGS, WORKER_ENVIRONMENT
from Testing.conftest import REPOSITORY

CLUSTER = REPOSITORY / "docs/cluster"
COMMANDS = {"worker": dask_worker.main, "scheduler": dask_scheduler.main}


@pytest.mark.parametrize("who", COMMANDS)
def test_kubernetes_starts_commands_that_dask_has_with_the_settings_of_workers_here(who, tmp_path):
    for name in ("ca.pem", "cert.pem", "key.pem"):
        (tmp_path / name).touch()
    document = yaml.safe_load((CLUSTER / "kubernetes.yaml").read_text().replace("/tls/", f"{tmp_path}/"))
    (container,) = document["spec"][who]["spec"]["containers"]
    program, command, *options = container["args"]
    assert (program, command) == ("dask", who)
    told = COMMANDS[who].make_context(command, options).params
    assert all(told[name] for name in ("tls_ca_file", "tls_cert", "tls_key")) and not told["dashboard"]
    environment = {one["name"]: one["value"] for one in container["env"]}
    name, service = document["metadata"]["name"], document["spec"]["scheduler"]["service"]
    assert environment.pop("DASK_SCHEDULER_ADDRESS") == f"tls://{name}-scheduler:{service['ports'][0]['port']}"
    assert environment == WORKER_ENVIRONMENT


def test_the_environment_means_to_dask_what_the_settings_say():
    said = dask.config.collect_env(WORKER_ENVIRONMENT)
    assert {name: dask.config.get(name, config=said) for name in DASK_SETTINGS} == DASK_SETTINGS


def test_slurms_workers_are_encrypted_and_have_the_settings_of_workers_here_and_end_with_ctrl_c(monkeypatch, capsys):
    made = MagicMock()
    started = made.return_value.__enter__.return_value
    started.scheduler_address = "tls://node:1"
    routes = []
    made.side_effect = lambda **_options: routes.append(dask.config.get("distributed.scheduler.http.routes")) or made.return_value
    monkeypatch.setitem(sys.modules, "dask_jobqueue", SimpleNamespace(SLURMCluster=made))

    def ctrl_c():
        raise KeyboardInterrupt

    monkeypatch.setattr(signal, "pause", ctrl_c, raising=False)
    runpy.run_path(str(CLUSTER / "slurm.py"), run_name="__main__")
    options = made.call_args.kwargs
    worker = options["security"].get_tls_config_for_role("worker")
    assert options["security"].require_encryption and all(worker[name].endswith(".pem") for name in ("ca_file", "cert", "key"))
    assert options["job_script_prologue"] == [f"export {name}='{value}'" for name, value in WORKER_ENVIRONMENT.items()]
    assert routes == [[]]
    assert started.scale.called and capsys.readouterr().out == "tls://node:1\n"
    assert made.return_value.__exit__.called
