"""TLS for probes: two contexts for all of them, and failures in the words of Go's crypto packages."""

import asyncio
import ssl
from pathlib import Path
from typing import Final

from raftreg.checks.dialing import NotProbed, check_files
from raftreg.errors import ConfigError

_EXPIRED: Final = (9, 10)  # X509_V_ERR_CERT_NOT_YET_VALID, X509_V_ERR_CERT_HAS_EXPIRED
_WRONG_HOST: Final = (62, 64)  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH


class TLSContexts:
    """Made when they are first needed, in a thread: reading the system's certificates takes a while."""

    def __init__(self, ca_file: Path | None = None) -> None:
        """`ca_file`: certificates to trust besides those that the system trusts."""
        self._ca_file = ca_file
        self._made: dict[bool, asyncio.Task[ssl.SSLContext]] = {}

    async def get(self, *, skip_verify: bool) -> ssl.SSLContext:
        """The context for checks that verify what the target shows, or for those that do not.

        NotProbed if none can be made now: the certificates, which were there at the start, cannot be read.
        """
        if skip_verify not in self._made:
            check_files()  # Where the system's certificates cannot be read, there is a context without any.
            making = asyncio.to_thread(make_context, self._ca_file, skip_verify=skip_verify)
            self._made[skip_verify] = asyncio.create_task(making)
        made = self._made[skip_verify]
        try:
            return await asyncio.shield(made)
        except ConfigError as error:
            if self._made.get(skip_verify) is made:
                del self._made[skip_verify]
            raise NotProbed(str(error)) from None


def make_context(ca_file: Path | None, *, skip_verify: bool) -> ssl.SSLContext:
    """A context for clients. ConfigError if the file is not what it should be."""
    context = ssl.create_default_context()
    if skip_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif ca_file is not None:
        try:
            context.load_verify_locations(ca_file)
        except OSError as error:
            reason = error.strerror if not isinstance(error, ssl.SSLError) else "it is no PEM file"
            raise ConfigError(f"check-ca-file: {ca_file} cannot be read: {reason}") from None
    return context


def tls_text(error: ssl.SSLError, host: str) -> str:
    """What is wrong with the target's TLS."""
    if isinstance(error, ssl.SSLCertVerificationError):
        if error.verify_code in _EXPIRED:
            return "x509: certificate has expired or is not yet valid"
        if error.verify_code in _WRONG_HOST:
            return f"x509: certificate is not valid for {host}"
        return "x509: certificate signed by unknown authority"
    reason = (error.reason or "").lower().replace("_", " ")
    if reason in ("wrong version number", "http request", "packet length too long", "record layer failure"):
        return "http: server gave HTTP response to HTTPS client"
    return f"tls: {reason or error}"
