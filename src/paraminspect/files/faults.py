"""Everything that can go wrong with a server, in one table: what is said of it, and what to do next."""

from __future__ import annotations

from typing import Final

from paraminspect.errors import FarError
from paraminspect.extras import install_line
from paraminspect.tuples import NamedTuple


class Fault(NamedTuple):
    """One way in which a request fails.

    Attributes:
        message: With fields in braces.
        hint: The same; None where there is no next step to name.
        again: Whether the request is made again, since it may go better.
    """

    message: str
    hint: str | None = None
    again: bool = False


_PIPE: Final = "curl -L URL | paraminspect list -"

FAULTS: Final[dict[str, Fault]] = {
    # no answer
    "unknown-host": Fault("no such host: {host}", "is the name right, and the network up?", again=True),
    "refused": Fault("{host} refuses the connection", "is the port right, and the server up?", again=True),
    "unreachable": Fault("{host} cannot be reached: {why}", "is the network up?", again=True),
    "proxy": Fault("the proxy on the way to {host} fails: {why}", "are http_proxy and https_proxy right?"),
    "silent": Fault("{host} does not answer within {seconds:.0f} s", "try again later", again=True),
    "slow": Fault("{host} sends less than {rate:,} bytes a second", "try again later", again=True),
    "tls": Fault(
        "no secure connection to {host}: {why}", "SSL_CERT_FILE names the certificates of an authority of your own"
    ),
    "hung-up": Fault("{host} closes the connection without an answer", "try again later", again=True),
    "cut": Fault(
        "{host} closes the connection before it has sent {expected:,} bytes, again and again",
        "try again later",
        again=True,
    ),
    "not-http": Fault("{host} does not speak HTTP: {why}", "is the port right?"),
    "bad-url": Fault("not a URL that can be asked for: {why}"),
    # an answer that is no file
    "bad-request": Fault("{host} takes the request for a wrong one (400)"),
    "unauthorised": Fault("{host} wants to know who asks (401)", "{login}"),
    "denied": Fault("{host} does not allow it (403)", "{login}"),
    "missing": Fault("no such file on {host} (404)"),
    "gone": Fault("{host} had the file and has it no more (410)"),
    "busy": Fault("{host} takes no more requests for now (429)", "{wait}", again=True),
    "failing": Fault("{host} fails ({status})", "try again later", again=True),
    "status": Fault("{host} answers {status} {reason}"),
    "page": Fault(
        "{host} sends a web page, not a model file", "open it in a browser: is it a login, or a page about the file?"
    ),
    # redirects
    "redirects": Fault("{host} sends from address to address, more than {limit} times"),
    "insecure": Fault("{host} sends to an address without TLS: {where}", "if you trust it, name that address"),
    "elsewhere": Fault("{host} sends to an address that is no web address: {where}"),
    # a file that is not what was said
    "changed": Fault("the file changed while it was read", "try again: it is being replaced"),
    "lies": Fault("{host} contradicts itself: {what}", _PIPE),
    "packed": Fault("{host} sends the file compressed ({encoding})", "curl -L --compressed URL | paraminspect list -"),
    "no-size": Fault("{host} does not say how large the file is", _PIPE),
    "no-ranges": Fault("{host} sends whole files only, and this one has {size:,} bytes; the limit is {limit:,}", _PIPE),
    "no-ranges-long": Fault("{host} sends whole files only, and this one has more than {limit:,} bytes", _PIPE),
    # folders
    "no-listing": Fault(
        "a web address has no list of its files",
        "name a file; of a model in shards, its index: {url}/model.safetensors.index.json",
    ),
    "too-many": Fault("more than {limit:,} files in the folder", "name a file or a folder inside"),
    "no-such": Fault("no such file or folder"),
    # the hub
    "hub-page": Fault("a page of the hub, not a file", "{hint}"),
    "hub-name": Fault("{what}", "a model is hf://ORG/NAME, hf://ORG/NAME@REVISION or hf://ORG/NAME/FILE"),
    "no-repository": Fault("no such model on the hub, or it is private (404)", "{login}"),
    "no-revision": Fault("the model has no revision {revision!r}", "without @REVISION it is main"),
    "gated": Fault("access to this model is granted on its page (403)", "agree to its terms there, then: {login}"),
    "offline": Fault("HF_HUB_OFFLINE is set, so nothing is fetched", "without it, the file is read from the hub"),
    "not-in-snapshot": Fault(
        "the cache has no such file at this commit", "hf download {model} fetches what is missing"
    ),
    "not-cached": Fault("HF_HUB_OFFLINE is set, and the cache ({cache}) does not have {model}", "{hint}"),
    # what other programs keep here
    "file-host": Fault("a file:// URL of another machine: {host}", "{hint}"),
    "ollama-name": Fault("{text!r} is no name of a model of Ollama", "a model is ollama://NAME or ollama://NAME:TAG"),
    "ollama-missing": Fault("Ollama has no model {model!r} in {folder}", "{hint}"),
    # buckets
    "no-bucket": Fault("no such bucket: {bucket}"),
    "no-credentials": Fault("{what} wants credentials, and there are none", "{login}"),
    "bucket": Fault("{what}: {why}"),
    # what is not there to read it with
    "no-package": Fault("reading {scheme}:// needs {package}", "{install}"),
    "no-scheme": Fault("{scheme}:// cannot be read", "known are hf://, s3://, gs://, https://, ollama:// and file://"),
}


def fault(name: str, **fields: object) -> FarError:
    """The error of one entry."""
    entry = FAULTS[name]
    hint = entry.hint.format(**fields) if entry.hint is not None else None
    return FarError(entry.message.format(**fields), hint=hint or None, fault=name)


def no_package(scheme: str, package: str, extra: str) -> FarError:
    """The error where a library is not there that an extra brings."""
    return fault("no-package", scheme=scheme, package=package, install=install_line(extra))


def may_go_better(error: FarError) -> bool:
    """Whether the request is worth to be made again."""
    return FAULTS[error.fault].again if error.fault in FAULTS else False
