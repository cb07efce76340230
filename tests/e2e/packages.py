"""Packages that must not be installed to be tested with, for they would replace the host's own
daemons, or each other, and those of npm: they are unpacked into the build's cache instead."""

import fcntl
import os
import pathlib
import shutil

from harness import BUILD, run, skip


def unpacked(package):
    """The folder that holds the package and what it depends on and the host has not."""
    folder = BUILD / "packages" / package
    if folder.exists():
        return folder
    archives = folder.with_suffix(".archives")
    shutil.rmtree(archives, ignore_errors=True)
    (archives / "partial").mkdir(parents=True)
    try:
        run("apt-get", "install", "-qy", "--download-only", "--no-install-recommends",
            "--reinstall", "-o", f"Dir::Cache::archives={archives}",
            "-o", "Debug::NoLocking=1", package)
    except AssertionError as error:
        skip(f"{package} can't be downloaded: {error}")
    fresh = pathlib.Path(f"{folder}.fresh")
    shutil.rmtree(fresh, ignore_errors=True)
    for archive in archives.glob("*.deb"):
        run("dpkg-deb", "-x", archive, fresh)
    os.rename(fresh, folder)
    return folder


def npm_package(package):
    """The folder of NAME@VERSION of npm and what it depends on."""
    name = package.rsplit("@", 1)[0]
    top = BUILD / "npm"
    folder = top / "node_modules" / name
    top.mkdir(exist_ok=True)
    with (top / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests run at the same time
        if not folder.exists():
            try:
                run("npm", "install", "--no-audit", "--no-fund", "--ignore-scripts",
                    "--omit=optional", "--prefix", top, package)
            except AssertionError as error:
                skip(f"{package} can't be installed: {error}")
    return folder
