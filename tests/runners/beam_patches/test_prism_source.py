"""What is changed in Prism's source, and when that isn't needed any more."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from apache_beam.version import __version__ as beam_version

from tandem.runners.beam_patches.prism_source import bind
from tandem.schemas.errors import LaunchError

INTERNAL = Path("go/pkg/beam/runners/prism/internal")
SERVER = """package jobservices
	lis, err := net.Listen("tcp", fmt.Sprintf(":%d", port))
func (s *Server) Endpoint() string {
	_, port, _ := net.SplitHostPort(s.lis.Addr().String())
	return fmt.Sprintf("localhost:%v", port)
}
"""
WORKER = """package worker
	_, p, _ := net.SplitHostPort(lis.Addr().String())
		endpoint: "localhost:" + p,
"""


@pytest.fixture
def module(tmp_path: Path) -> Path:
    for name, text in (("jobservices/server.go", SERVER), ("worker/worker.go", WORKER)):
        path = tmp_path / INTERNAL / name
        path.parent.mkdir(parents=True)
        path.write_text(text)
    return tmp_path


def test_it_listens_where_it_is_told_to(module: Path) -> None:
    bind(module)
    server = (module / INTERNAL / "jobservices/server.go").read_text()
    worker = (module / INTERNAL / "worker/worker.go").read_text()
    assert "lis, err := worker.ListenHere(port)" in server
    assert "return worker.AddressOf(s.lis)" in server
    assert "endpoint: AddressOf(lis)," in worker
    assert "localhost" not in server + worker
    assert "127.0.0.1" in (module / INTERNAL / "worker/listen_here.go").read_text()


@pytest.mark.parametrize("name", ["jobservices/server.go", "worker/worker.go"])
@pytest.mark.parametrize("how", ["changed", "twice", "missing"])
def test_a_source_that_isnt_known_is_refused(module: Path, name: str, how: str) -> None:
    path = module / INTERNAL / name
    text = path.read_text()
    path.write_text({"changed": text.replace("net.", "mynet."), "twice": text * 2, "missing": ""}[how])
    with pytest.raises(LaunchError, match=f"Prism's {name} isn't the one that is known"):
        bind(module)


def test_this_beams_source_still_needs_it(tmp_path: Path) -> None:
    """When this fails because Prism takes an address, it and all that it tests can go."""
    go = shutil.which("go")
    if go is None:
        pytest.skip("no Go on this machine")
    asked = [go, "mod", "download", "-json", f"github.com/apache/beam/sdks/v2@v{beam_version}"]
    said = subprocess.run(asked, cwd=tmp_path, capture_output=True, text=True, check=False)
    if said.returncode:
        pytest.skip("Beam's Go module can't be had here")
    source = Path(json.loads(said.stdout)["Dir"])
    shutil.copytree(source / INTERNAL, tmp_path / INTERNAL, copy_function=shutil.copyfile)
    for folder in (tmp_path / INTERNAL).rglob("*"):
        if folder.is_dir():
            folder.chmod(0o755)
    bind(tmp_path)
