"""What is built: a wheel that is typed, needs nothing, and holds nothing but the package."""

import subprocess
import sys
import zipfile
from pathlib import Path

import script
from real_server import REPOSITORY


def test_the_wheel(tmp_path: Path) -> None:
    source = tmp_path / "source"
    # Built from a copy, so that what building leaves lies there.
    copy = [
        sys.executable,
        "-c",
        "import shutil, sys; shutil.copytree(*sys.argv[1:], ignore=shutil.ignore_patterns('.*', 'build', '*.egg-info'))",
    ]
    subprocess.run([*copy, str(REPOSITORY / "sdk" / "python"), str(source)], check=True)
    build = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--wheel-dir",
        str(tmp_path),
        str(source),
    ]
    subprocess.run(build, check=True, timeout=script.TIMEOUT_S)
    [wheel] = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        names = packed.namelist()
        metadata = packed.read(next(name for name in names if name.endswith("METADATA"))).decode()
    assert {name.split("/")[0] for name in names if not name.startswith("repute-")} == {"repute"}
    assert "repute/py.typed" in names
    needed = [line for line in metadata.splitlines() if line.startswith("Requires-Dist") and "extra ==" not in line]
    assert needed == []
    assert "Requires-Python: >=3.9" in metadata
    loaded = subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(wheel)!r}); import repute; print(repute.__version__)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"-{loaded.stdout.strip()}-" in wheel.name
