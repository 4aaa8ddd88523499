"""Kubernetes as far as one computer goes: Dask's operator itself, an API server of our own, and pods that are processes.

    sudo python -m research.cohort.one_computer_kubernetes FOLDER [--studies 16] [--detector FILE --segmenter FILE]

Needs Linux, root, util-linux, openssl, and `pip install dask-kubernetes`, whose operator (kopf) runs as in a cluster: it is given
docs/cluster/kubernetes.yaml, and what it then asks the API server for is started. A pod's containers are processes with its
arguments and environment, each with its volumes mounted, the service's name in /etc/hosts, and nothing else of a container:
neither image, network nor limits. FOLDER keeps inputs, results and logs.
"""

from __future__ import annotations

import argparse
import asyncio
import copy
import csv
import json
import os
import re
import shlex
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import yaml
from aiohttp import web

from research.cohort.simulate import make
from research.cohort.two_hosts import certificates

FILE = Path(__file__).resolve().parents[2] / "docs/cluster/kubernetes.yaml"
DASK = "kubernetes.dask.org"
KINDS = {
    ("", "v1"): {"pods": "Pod", "services": "Service", "events": "Event", "namespaces": "Namespace"},
    ("apps", "v1"): {"deployments": "Deployment"},
    (DASK, "v1"): {f"dask{name}s": f"Dask{kind}" for name, kind in (
        ("cluster", "Cluster"), ("workergroup", "WorkerGroup"), ("job", "Job"), ("autoscaler", "Autoscaler"))},
    ("apiextensions.k8s.io", "v1"): {"customresourcedefinitions": "CustomResourceDefinition"},
}  # fmt: skip
_OBJECT = re.compile(
    r"/apis?/(?:(?P<g>[\w.]+\.[\w.]+|apps)/)?v1(?:/namespaces/[\w-]+)?/(?P<k>\w+)(?:/(?P<o>[\w.-]+))?(?:/status)?"
)
VERBS = ["create", "delete", "get", "list", "patch", "update", "watch"]
NAMESPACE = "default"
STARTS_S, ENDS_S = 240.0, 60.0


class ApiServer:
    """What the operator needs of an API server: objects by kind and name, merge patches, and watches."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], dict[str, Any]] = {}
        self._version = 0
        self._watches: list[tuple[str, asyncio.Queue[dict[str, Any]]]] = []
        self.changed = asyncio.Event()
        self.create("namespaces", "", {"metadata": {"name": NAMESPACE}})

    def application(self) -> web.Application:
        """Of aiohttp."""
        application = web.Application(client_max_size=1 << 24)
        application.router.add_route("*", "/{path:.*}", self.answer)
        return application

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Any request."""
        path = request.path.rstrip("/")
        found = self._discovery(path)
        if found is not None:
            return web.json_response(found)
        told = _OBJECT.fullmatch(path)
        kind = told["k"] if told else ""
        if told is None or not any(kind in kinds for kinds in KINDS.values()):
            return _missing(path)
        if told["o"] is None:
            if request.method == "POST":
                return self.create(kind, told["g"], await request.json())
            if request.query.get("watch") in ("1", "true"):
                return await self._watch(request, kind)
            items = [one for (k, _), one in self.objects.items() if k == kind and _matches(one, request)]
            return web.json_response({"kind": "List", "metadata": {"resourceVersion": str(self._version)}, "items": items})
        one = self.objects.get((kind, told["o"]))
        if one is None:
            return _missing(path)
        if request.method == "PATCH":
            self.change(kind, told["o"], await request.json())
        elif request.method == "DELETE":
            self.delete(kind, told["o"])
        return web.json_response(self.objects.get((kind, told["o"]), one))

    def change(self, kind: str, name: str, patch: Any) -> None:
        """Change an object by a merge patch, or a list of a JSON patch's operations."""
        one = self.objects[kind, name]
        before = copy.deepcopy(one)
        if isinstance(patch, dict):
            _merge(one, patch)
        else:
            _operate(one, patch)
        if one["metadata"].get("deletionTimestamp") and not one["metadata"].get("finalizers"):
            del self.objects[kind, name]
            self._tell("DELETED", kind, one)
        elif one != before:
            self._tell("MODIFIED", kind, one)

    def _discovery(self, path: str) -> dict[str, Any] | None:
        if path == "/version":
            return {"major": "1", "minor": "33", "gitVersion": "v1.33.0"}
        if path == "/api":
            return {"kind": "APIVersions", "versions": ["v1"]}
        if path == "/apis":
            groups = [(g, {"groupVersion": f"{g}/{v}", "version": v}) for g, v in KINDS if g]
            listed = [{"name": group, "versions": [one], "preferredVersion": one} for group, one in groups]
            return {"kind": "APIGroupList", "groups": listed}
        for (group, version), kinds in KINDS.items():
            if path == (f"/apis/{group}/{version}" if group else f"/api/{version}"):
                resources = [
                    {"name": name, "singularName": kind.lower(), "kind": kind, "verbs": VERBS,
                     "namespaced": name not in ("namespaces", "customresourcedefinitions")}
                    for name, kind in kinds.items()
                ]  # fmt: skip
                status = [{**one, "name": f"{one['name']}/status"} for one in resources if one["name"] != "events"]
                group_version = f"{group}/{version}" if group else version
                return {"kind": "APIResourceList", "groupVersion": group_version, "resources": [*resources, *status]}
        return None

    def create(self, kind: str, group: str | None, one: dict[str, Any]) -> web.Response:
        """Keep a new object, and tell those who watch."""
        metadata = one.setdefault("metadata", {})
        name = metadata.setdefault("name", f"{metadata.get('generateName', '')}{uuid.uuid4().hex[:6]}")
        if (kind, name) in self.objects:
            return web.json_response({"kind": "Status", "reason": "AlreadyExists", "code": 409}, status=409)
        metadata |= {
            "namespace": NAMESPACE,
            "uid": str(uuid.uuid4()),
            "creationTimestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }
        one.setdefault("apiVersion", f"{group}/v1" if group else "v1")
        self.objects[kind, name] = one
        self._tell("ADDED", kind, one)
        return web.json_response(one, status=201)

    def delete(self, kind: str, name: str) -> None:
        """Take an object away with all that it owns; one with a finalizer once that is gone."""
        one = self.objects[kind, name]
        owned = [key for key, other in self.objects.items()
                 if any(o["uid"] == one["metadata"]["uid"] for o in other["metadata"].get("ownerReferences") or ())]  # fmt: skip
        if one["metadata"].get("finalizers"):
            self.change(kind, name, {"metadata": {"deletionTimestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}})
        else:
            del self.objects[kind, name]
            self._tell("DELETED", kind, one)
        for key in owned:
            if key in self.objects:
                self.delete(*key)

    def _tell(self, what: str, kind: str, one: dict[str, Any]) -> None:
        self._version += 1
        one["metadata"]["resourceVersion"] = str(self._version)
        for watched, queue in self._watches:
            if watched == kind:
                queue.put_nowait({"type": what, "object": copy.deepcopy(one)})
        self.changed.set()

    async def _watch(self, request: web.Request, kind: str) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        since = int(request.query.get("resourceVersion") or 0)
        for (k, _), one in self.objects.items():
            if k == kind and int(one["metadata"]["resourceVersion"]) > since:
                queue.put_nowait({"type": "MODIFIED", "object": one})
        self._watches.append((kind, queue))
        try:
            while True:
                event = await queue.get()
                if _matches(event["object"], request):
                    await response.write(json.dumps(event).encode() + b"\n")
        except (ConnectionError, asyncio.CancelledError):
            return response
        finally:
            self._watches.remove((kind, queue))


def _missing(path: str) -> web.Response:
    return web.json_response({"kind": "Status", "reason": "NotFound", "code": 404, "message": f"{path} is not here"}, status=404)


def _matches(one: dict[str, Any], request: web.Request) -> bool:
    labels = one["metadata"].get("labels") or {}
    wanted = [part.partition("=") for part in request.query.get("labelSelector", "").split(",") if "=" in part]
    name = re.search(r"metadata\.name=([\w-]+)", request.query.get("fieldSelector", ""))
    return all(labels.get(key) == value.lstrip("=") for key, _, value in wanted) and (
        name is None or one["metadata"]["name"] == name[1]
    )


def _merge(into: dict[str, Any], patch: dict[str, Any]) -> None:
    for key, value in patch.items():
        if value is None:
            into.pop(key, None)
        elif isinstance(value, dict) and isinstance(into.setdefault(key, {}), dict):
            _merge(into[key], value)
        else:
            into[key] = value


def _operate(into: dict[str, Any], operations: list[dict[str, Any]]) -> None:
    for one in operations:
        *way, last = [part.replace("~1", "/").replace("~0", "~") for part in one["path"].split("/")[1:]]
        place: Any = into
        for part in way:
            place = place[int(part)] if isinstance(place, list) else place.setdefault(part, {})
        if isinstance(place, list):
            if one["op"] == "add":
                place.insert(len(place) if last == "-" else int(last), one["value"])
            elif one["op"] == "remove":
                del place[int(last)]
        elif one["op"] in ("add", "replace"):
            place[last] = one["value"]
        elif one["op"] == "remove":
            place.pop(last, None)


class Node:
    """Starts what deployments ask for, as the kubelet would, and gives services their addresses.

    Attributes:
        pods: processes by their deployment.
        restarts: of pods that ended.
        made: folders that volumes were mounted on.
    """

    def __init__(self, server: ApiServer, logs: Path, volumes: dict[str, Path]) -> None:
        self._server, self._logs, self._volumes = server, logs, volumes
        self.pods: dict[str, subprocess.Popen[bytes]] = {}
        self.restarts = 0
        self.made: set[Path] = set()
        (logs / "hosts").write_text("127.0.0.1 localhost\n")

    async def work(self) -> None:
        """Until it is cancelled."""
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._server.changed.wait(), 1.0)
            self._server.changed.clear()
            objects = self._server.objects
            for (kind, name), one in list(objects.items()):
                if kind == "services" and not one.get("status"):
                    (self._logs / "hosts").open("a").write(f"127.0.0.1 {name}\n")
                    self._server.change(kind, name, {"status": {"loadBalancer": {}}})
                if kind == "deployments":
                    self._keep_up(name, one["spec"]["template"]["spec"])
            for name in [name for name in self.pods if ("deployments", name) not in objects]:
                _end(self.pods.pop(name))

    def _keep_up(self, name: str, pod: dict[str, Any]) -> None:
        running = self.pods.get(name)
        if running is not None and running.poll() is None:
            return
        self.restarts += running is not None
        (container,) = pod["containers"]
        self.pods[name] = self.start(name, container, container["args"])
        self._server.change("deployments", name, {"status": {"replicas": 1, "readyReplicas": 1}})

    def start(self, name: str, container: dict[str, Any], command: list[str]) -> subprocess.Popen[bytes]:
        """A container's process, with its environment alone, its volumes mounted and the services' names known."""
        environment = {one["name"]: one["value"] for one in container["env"]}
        command = [re.sub(r"\$\((\w+)\)", lambda m: environment.get(m[1], m[0]), word) for word in command]
        mounts = [f"mount --bind {shlex.quote(str(self._logs / 'hosts'))} /etc/hosts"]
        for one in container["volumeMounts"]:
            self.made.add(Path(one["mountPath"]))
            Path(one["mountPath"]).mkdir(exist_ok=True)
            mounts.append(f"mount --bind {shlex.quote(str(self._volumes[one['name']]))} {one['mountPath']}")
        environment |= {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONPATH": str(FILE.parents[2])}
        line = f"{' && '.join(mounts)} && cd / && exec {shlex.join(command)}"
        with (self._logs / f"{name}.log").open("ab") as log:
            return subprocess.Popen(["unshare", "--mount", "sh", "-c", line], env=environment, stdout=log, stderr=log)  # noqa: S607


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(ENDS_S)


@asynccontextmanager
async def kubernetes(folder: Path, volumes: dict[str, Path]) -> AsyncIterator[tuple[ApiServer, Node]]:
    """API server, node and operator; all that runs in it is ended."""
    server = ApiServer()
    node, runner = Node(server, folder, volumes), web.AppRunner(server.application(), shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    config = {
        "clusters": [{"name": "one", "cluster": {"server": f"http://127.0.0.1:{runner.addresses[0][1]}"}}],
        "users": [{"name": "nobody", "user": {}}],
        "contexts": [{"name": "one", "context": {"cluster": "one", "user": "nobody", "namespace": NAMESPACE}}],
    }
    (folder / "kubeconfig").write_text(yaml.safe_dump({"apiVersion": "v1", "kind": "Config", "current-context": "one", **config}))
    working = asyncio.create_task(node.work())
    with (folder / "operator.log").open("wb") as log:
        operator = subprocess.Popen(
            [sys.executable, "-m", "kopf", "run", "--standalone", "-n", NAMESPACE, "-m", "dask_kubernetes.operator.controller"],
            env={**os.environ, "KUBECONFIG": str(folder / "kubeconfig")}, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        yield server, node
    finally:
        working.cancel()
        for process in (operator, *reversed(node.pods.values())):
            _end(process)
        await runner.cleanup()
        for place in node.made:
            place.rmdir()


async def until(what: str, true: Any, limit_s: float) -> None:
    """Wait."""
    end = time.monotonic() + limit_s
    while not true():
        if time.monotonic() > end:
            raise TimeoutError(what)
        await asyncio.sleep(0.2)


async def run(folder: Path, studies: int, kill: bool, models: list[str]) -> int:
    """All of it. Returns the exit status: 0 if all studies are done."""
    cohort, tls, logs = folder / "cohort", folder / "tls", folder / "logs"
    for one in (cohort, tls, logs):
        one.mkdir(parents=True)
    make(cohort / "exams", studies, None)
    certificates(tls)
    (tls / "ca.pem").write_bytes((tls / "cert.pem").read_bytes())
    document = yaml.safe_load(FILE.read_text())
    out = cohort / "results"
    async with kubernetes(logs, {"cohort": cohort, "tls": tls}) as (server, node):
        server.create("daskclusters", DASK, document)
        replicas = document["spec"]["worker"]["replicas"]
        await until("the pods", lambda: len(node.pods) == 1 + replicas, STARTS_S)
        print("pods:", *sorted(node.pods), flush=True)
        words = "myoscarseg batch /cohort/exams -o /cohort/results --scheduler tls://cohort-scheduler:8786"
        words += " --tls-ca /tls/ca.pem --tls-cert /tls/cert.pem --tls-key /tls/key.pem"
        (container,) = document["spec"]["scheduler"]["spec"]["containers"]

        def registered() -> int:
            return sum("Registered to" in (logs / f"{name}.log").read_text() for name in node.pods if "worker" in name)

        await until("the workers", lambda: registered() == replicas, STARTS_S)
        batch = node.start("batch", container, [*shlex.split(words), *models])
        if kill:
            await until("some studies", lambda: len(list(out.glob("*/record.json"))) >= studies // 4, STARTS_S)
            name = next(name for name in node.pods if "worker" in name)
            node.pods[name].kill()
            print("killed", name, flush=True)
        await until("the cohort", lambda: batch.poll() is not None, 1200)
        print("restarts of pods:", node.restarts, "phase:", server.objects["daskclusters", "cohort"].get("status"), flush=True)
        server.delete("daskclusters", "cohort")
        await until("the end of the pods", lambda: not node.pods and ("daskclusters", "cohort") not in server.objects, STARTS_S)
        print("after the cluster was deleted:", sorted(k for k in server.objects if k[0] != "events"), flush=True)
    with (out / "results.csv").open() as file:
        done = sum(row["status"] == "done" for row in csv.DictReader(file))
    records = len(list(out.glob("*/record.json")))
    print(f"{done} of {studies} done, {records} records, exit {batch.returncode}")
    return int(not (batch.returncode == 0 and done == records == studies))


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--studies", type=int, default=16)
    parser.add_argument("--kill", action="store_true", help="one pod with a worker, after a quarter of the studies")
    told, models = parser.parse_known_args()
    return asyncio.run(run(told.folder.resolve(), told.studies, told.kill, models))


if __name__ == "__main__":
    sys.exit(main())
