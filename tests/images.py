"""The container image, built by buildah from the Dockerfile, and run as its container would be.

The base image is the one that `TOCSIN_BASE_IMAGE` names, or where no registry is reached one of Debian's packages
(`debootstrap`), which has the same Python. To run, the image is mounted read-only in a mount namespace of its own, with a
small /tmp and a /data, and the program gets the user of the image, no capability, and no way to gain one.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DEBIAN = "localhost/tocsin-test-python:3.11"
RUN = r"""
set -e
root=$1; shift
mount --make-rprivate /
mount --bind "$root" "$root"
mount -o remount,ro,bind "$root"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs -o size=64m,mode=1777 tmpfs "$root/tmp"
mount --bind "$TOCSIN_TEST_DATA" "$root/data"
exec chroot "$root" env -i PATH=/opt/tocsin/bin:/usr/local/bin:/usr/bin:/bin TOCSIN_DATA=/data HOME=/nonexistent \
  PYTHONDONTWRITEBYTECODE=1 setpriv --reuid 10001 --regid 10001 --clear-groups --bounding-set=-all --no-new-privs "$@"
"""


class Image:
    """The image `tocsin` in a storage of its own under a folder."""

    def __init__(self, folder):
        missing = [name for name in ("buildah", "debootstrap", "unshare", "setpriv") if shutil.which(name) is None]
        if missing or os.geteuid() != 0:
            pytest.skip(f"needs root and {', '.join(missing) or 'nothing else'}")
        self._folder = folder
        self._buildah = ["buildah", "--storage-driver", "vfs", "--root", str(folder / "images")]
        self._buildah += ["--runroot", str(folder / "run")]
        base = os.environ.get("TOCSIN_BASE_IMAGE") or self._debian()
        (folder / "pip.conf").write_text("[global]\ncert = /etc/ssl/certs/ca-certificates.crt\n")
        (folder / "uv.toml").write_text("native-tls = true\n")
        mounts = {
            "/etc/ssl/certs": "/etc/ssl/certs",
            folder / "pip.conf": "/etc/pip.conf",
            folder / "uv.toml": "/etc/uv/uv.toml",
        }
        volumes = [word for host, inside in mounts.items() for word in ("--volume", f"{host}:{inside}:ro")]
        asked = ["--isolation", "chroot", "--network", "host", "--format", "docker", "--build-arg", f"BASE={base}"]
        self._run("build", *asked, *volumes, "--tag", "localhost/tocsin", str(ROOT))
        self.container = self._run("from", "--pull-never", "localhost/tocsin").strip()
        self.root = Path(self._run("mount", self.container).strip())

    def _run(self, *words):
        done = subprocess.run([*self._buildah, *words], capture_output=True, text=True, check=False, timeout=1800)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
        return done.stdout

    def _debian(self):
        root = self._folder / "debian"
        parts = "--include=python3,python3-venv,python3-pip,ca-certificates"
        made = ["debootstrap", "--variant=minbase", parts, "bookworm", str(root)]
        subprocess.run(made, check=True, capture_output=True, timeout=1800)
        (root / "usr/bin/python").symlink_to("python3")
        for marker in root.glob("usr/lib/python3*/EXTERNALLY-MANAGED"):
            marker.unlink()
        container = self._run("from", "scratch").strip()
        self._run("add", "--quiet", container, str(root), "/")
        self._run("config", "--env", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", container)
        self._run("commit", "--quiet", container, DEBIAN)
        self._run("rm", container)
        shutil.rmtree(root)
        return DEBIAN

    def inspected(self):
        """What the image says of itself, as JSON."""
        return self._run("inspect", "localhost/tocsin")

    def started(self, data, *command, **options):
        """A program of the image, as its container would run it, with /data in a folder."""
        data.mkdir(parents=True, exist_ok=True)
        os.chown(data, 10001, 10001)
        words = [
            "unshare",
            "--mount",
            "--pid",
            "--fork",
            "--kill-child",
            "bash",
            "-c",
            RUN,
            "run",
            str(self.root),
            *command,
        ]
        return subprocess.Popen(words, text=True, env={**os.environ, "TOCSIN_TEST_DATA": str(data)}, **options)

    def close(self):
        """Take everything away again."""
        self._run("umount", self.container)
        self._run("rm", self.container)
        shutil.rmtree(self._folder, ignore_errors=True)
