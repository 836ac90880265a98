# SPDX-License-Identifier: MIT
"""Archives of files that travel with a push, made without any of our code, and how an operator brings them."""
import gzip
import hashlib
import io
import json
import tarfile
import urllib.error
import urllib.request


def archive(files):
    """Some archive of these files, {path: text}, and its digest. SecBox itself makes them in C."""
    inside = io.BytesIO()
    with tarfile.open(fileobj=inside, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path, text in sorted(files.items()):
            entry = tarfile.TarInfo(path)
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text.encode()))
    data = gzip.compress(inside.getvalue(), mtime=0)
    return data, "sha256:" + hashlib.sha256(data).hexdigest()


def bring(gateway, digest, data, token=None):
    request = urllib.request.Request(f"{gateway.url}/v1/bundles/{digest}", data=data, method="PUT",
                                     headers={"Authorization": f"Bearer {token or gateway.token}"})
    try:
        with urllib.request.urlopen(request, context=gateway.context) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as e:
        with e:
            return e.code, json.loads(e.read())["error"]
