"""ultralytics is imported without network, chatter, changed threads, or files outside our cache folder."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PROBE = """
    import os, socket, sys
    sys.path.insert(0, REPOSITORY)

    def refuse(*arguments, **named):
        raise RuntimeError("a socket was opened")

    class Refused(socket.socket):
        def __init__(self, *arguments, **named):
            refuse()

    socket.socket = Refused
    socket.create_connection = socket.getaddrinfo = socket.gethostbyname = refuse
    written = []

    def hook(event, arguments):
        if event == "open" and isinstance(arguments[0], (str, bytes)) and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            written.append(os.fsdecode(arguments[0]))
        if event in ("os.mkdir", "os.rename", "shutil.copyfile", "subprocess.Popen", "os.system", "os.posix_spawn"):
            written.append(event + " " + str(arguments[0]))
        if event.startswith("socket."):
            refuse()

    sys.addaudithook(hook)
    BODY
    import json
    print("WRITTEN", json.dumps(written))
"""


def run(body: str, home: Path, cache: Path, **more: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not re.match("YOLO|OMP|MPL|XDG|PYTEST", k)}
    environment.update(HOME=str(home), MYOSCARSEG_CACHE=str(cache), PYTHONDONTWRITEBYTECODE="1", TMPDIR=str(home / "tmp"), **more)
    (home / "tmp").mkdir(parents=True)
    code = textwrap.dedent(PROBE).replace("REPOSITORY", repr(str(REPOSITORY))).replace("BODY", textwrap.dedent(body).strip())
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, cwd=home, check=False)


IMPORT = """
    from PIL import Image
    opens = Image.open
    from MyoScarSegLib.utils.ultralytics_guard import import_ultralytics; import_ultralytics()
    import ultralytics.nn.tasks, ultralytics.models.sam.modules.tiny_encoder
    import json, torch
    from ultralytics.utils import AUTOINSTALL, ONLINE, SETTINGS
    from ultralytics.utils.events import events
    print("TOLD", json.dumps({
        "threads": [os.environ.get("OMP_NUM_THREADS"), torch.get_num_threads()],
        "telemetry": [AUTOINSTALL, ONLINE, SETTINGS["sync"], SETTINGS.get("hub", False), events.enabled],
        "pillow": Image.open is opens,
    }))
"""


class Imported:
    """A process that has imported ultralytics, with what it said, told of itself, and wrote."""

    def __init__(self, folder: Path, **more: str) -> None:
        self.home, self.cache = folder / "home", folder / "cache"
        done = run(IMPORT, self.home, self.cache, **more)
        assert done.returncode == 0, done.stderr
        before, _, rest = done.stdout.partition("TOLD ")
        told, _, written = rest.partition("WRITTEN ")
        self.said, self.told, self.written = before + done.stderr, json.loads(told), json.loads(written)


@pytest.fixture(scope="module")
def imported(tmp_path_factory) -> Imported:
    return Imported(tmp_path_factory.mktemp("imported"))


def test_import_says_nothing_opens_no_socket_and_writes_only_in_our_cache(imported):
    assert imported.said == ""
    allowed = ("/dev/null", str(imported.home / "tmp"), "subprocess.Popen")
    assert [w for w in imported.written if str(imported.cache) not in w and not w.startswith(allowed)] == []
    assert [p for p in imported.home.rglob("*") if p.is_file()] == []
    assert (imported.cache / "ultralytics").is_dir()


@pytest.mark.slow
def test_threads_and_their_setting_stay_as_they_were(imported, tmp_path):
    plain = run("import torch; print(torch.get_num_threads())", tmp_path / "p", tmp_path / "c")
    assert imported.told["threads"] == [None, int(plain.stdout.splitlines()[0])]
    assert Imported(tmp_path / "two", OMP_NUM_THREADS="2").told["threads"] == ["2", 2]


def test_telemetry_is_off(imported):
    assert imported.told["telemetry"] == [False] * 5


def test_pillow_opens_pictures_as_before(imported):
    assert imported.told["pillow"]


def test_ultralytics_is_imported_through_the_one_door_only():
    offenders = []
    for path in (REPOSITORY / "MyoScarSegLib").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        imports = re.search(r"^\s*(from|import) ultralytics", text, flags=re.MULTILINE)
        if imports and "import_ultralytics" not in text:
            offenders.append(path.name)
        assert not re.search(r"^(from|import) ultralytics", text, flags=re.MULTILINE), f"{path} imports ultralytics when it loads"
    assert offenders == []
