"""Downloading images (wire 2.4): where from, in which pieces, and what is checked of them.

Belongs here: one image until it is whole. Does not belong here: which images are wanted, and reports about failures.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from urllib.parse import quote

from tests.aktualizr.http import TOO_LARGE, Http
from tests.aktualizr.metadata import HASHES, Log, Target
from tests.aktualizr.ostree import Sysroot
from tests.aktualizr.storage import ImageFile

TRIES = 3
HASH_MISMATCH = "The target's calculated hash did not match the hash in the metadata."
OVERSIZED = "The target's size was greater than the size in the metadata."
FAILED = "Could not download file, error: "


def image_url(repo_server: str, director: Target, image: Target) -> str:
    """The Director's ``uri``, else the Image repository's, else the file name below ``/targets/``."""
    return director.uri or image.uri or f"{repo_server}/targets/{quote(director.name, safe='/-._~')}"


def strongest(target: Target) -> tuple[str, str]:
    """The one listed hash that is checked: SHA-256 where there is one."""
    return next((name, target.hashes[name]) for name in HASHES if name in target.hashes)


def key(target: Target) -> tuple[str, str]:
    """Under what an image is kept: its file name and its hash."""
    return target.name, strongest(target)[1]


def intact(target: Target, content: bytes) -> bool:
    """Whether ``content`` has the length and the one hash."""
    algorithm, expected = strongest(target)
    return len(content) == target.length and hashlib.new(algorithm, content).hexdigest() == expected


def is_here(target: Target, file: ImageFile) -> bool:
    """Whether the image is whole: a file by its bytes, a commit once it was pulled."""
    return file.pulled if target.ostree else intact(target, file.content)


@dataclass
class Downloads:
    """Brings images into ``images``, whole or not, and commits into ``sysroot`` if there is one."""

    images: dict[tuple[str, str], ImageFile]
    http: Http
    log: Log
    sysroot: Sysroot | None = None

    def download(self, target: Target, url: str) -> bool:
        """Three tries; each goes on where the last one stopped. Whether the image is there now."""
        for remaining in reversed(range(TRIES)):
            if self._try(target, url):
                return True
            if remaining:
                self.http.sleep(self.http.pause_s)
        self.log(f"Download unsuccessful after {TRIES} attempts.")
        self.log(f"Error downloading image: {HASH_MISMATCH}")
        return False

    def _try(self, target: Target, url: str) -> bool:
        file = self.images.setdefault(key(target), ImageFile())
        if file.touched and intact(target, file.content):
            self.log("Image already downloaded; skipping download")
            return True
        if target.ostree and self.sysroot is not None:
            file.pulled = self.sysroot.pull(target, self.log)
            return file.pulled
        if target.ostree:
            self.log(f"Cannot download OSTree target {target.name} with the fake package manager!")
            return False
        self._prepare(target, file)
        error = self._fetch(target, url, file) if target.length else ""
        if not error and not intact(target, file.content):
            error, file.content, file.touched = HASH_MISMATCH, b"", False
        if error:
            self.log(f"Error while downloading a target: {error}")
        return not error

    def _prepare(self, target: Target, file: ImageFile) -> None:
        """Decide what of an earlier try is kept."""
        if not file.touched:
            self.log(f"File {target.name} with expected hash not found in the database.")
        elif len(file.content) >= target.length:
            self.log(f"Target exists with expected length, but hash does not match metadata! {target}")
            file.content = b""
        else:
            self.log(f"File {target.name} was found in the database, but is incomplete.")
            self.log(f"Continuing incomplete download of file {target.name}")
            return
        if not target.length:
            file.touched = True
            self.log("Skipping download of target with length 0")
            return
        self.log(f"Initiating download of file {target.name}")

    def _fetch(self, target: Target, url: str, file: ImageFile) -> str:
        """One transfer, or two when the server knows no ranges. What went wrong, or nothing.

        The body of an *error* is written to the file as if it were the image's beginning, unless the client asked for a
        range, and the next try goes on behind it: a server does well to answer errors here with no body.
        """
        file.touched = True
        start = len(file.content)
        headers = {"Range": f"bytes={start}-"} if start else {}
        response = self.http.once("GET", url, None, headers, target.length - start if start else target.length)
        if start and (response.status == 200 or (response.status == 206 and not response.content_range)):
            self.log(
                "The image server doesn't support byte range requests,"
                f" try to download the image from the beginning: {url}"
            )
            file.content, headers = b"", {}
            response = self.http.once("GET", url, None, headers, target.length)
        if response.error == TOO_LARGE:
            return OVERSIZED
        if not headers or response.status == 206:
            file.content += response.body
        return "" if response.ok else FAILED + response.error[1]
