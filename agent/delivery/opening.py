"""Sinks as they are configured, ready to be tried."""

from __future__ import annotations

import os
from collections.abc import Callable

import msgspec

from agent.configuration.model import Directory, HttpPut, Hub, Remote
from agent.configuration.secrets import SecretError, credential_path, secret
from agent.delivery import address, answers, enrolment
from agent.delivery.address import Address
from agent.delivery.budget import Limits
from agent.delivery.errors import DeliveryError, SettingsError
from agent.delivery.pace import Pace
from agent.delivery.progress import Records
from agent.delivery.sinks.contract import Sink
from agent.delivery.sinks.directory import DirectorySink
from agent.delivery.sinks.http_put import HttpPutSink
from agent.delivery.sinks.hub import HubSink
from agent.delivery.tls import Trust
from agent.delivery.transport import Client
from evidence.errors import EvidenceError
from evidence.note import Verifier

_HOST_LIMIT = 255

AnySink = Directory | HttpPut | Hub


class Surroundings(msgspec.Struct, frozen=True):
    """What sinks need beside their settings."""

    records: Records
    prove: enrolment.Prove
    limits: Limits
    rate: int


def open_sink(settings: AnySink, around: Surroundings, piece: int | None) -> Sink:
    """Return a sink. Raises: DeliveryError if it cannot be used as it is configured."""
    if isinstance(settings, Directory):
        return DirectorySink(settings.name, settings.path)
    pace = Pace(around.rate)
    if isinstance(settings, HttpPut):
        token = token_of(settings)
        client = client_of(settings, around.limits)
        return HttpPutSink(settings.name, client, pace, confirm=settings.confirm, token=token, user=settings.user)
    key = hub_key(settings, around.records.pin(settings.name))
    if key is None:
        raise SettingsError(
            settings.name,
            "the key of the hub",
            "none",
            "run evidenced enroll, or set vkey as its operator gave it to you",
        )
    return HubSink(
        settings.name,
        client_of(settings, around.limits),
        pace,
        key=key,
        enrol=_enrolling(settings, around, key),
        keep=lambda data: around.records.reject(settings.name, data),
        piece=piece,
    )


def client_of(settings: Remote, limits: Limits) -> Client:
    """Return the connection to a server, not yet made. Raises: SettingsError."""
    key = settings.client_key
    try:
        if settings.client_key_credential is not None:
            key = credential_path(settings.client_key_credential)
    except SecretError as error:
        raise _unusable(settings.name, error) from None
    pins = tuple(each.replace(":", "").lower() for each in settings.pin_sha256)
    trust = Trust(settings.ca_file, settings.client_certificate, key, pins)
    proxy = None if settings.proxy is None else address.parse_proxy(settings.proxy, f"{settings.name}: proxy")
    return Client(address_of(settings), trust, proxy, limits)


def address_of(settings: Remote) -> Address:
    """Return where a server is, from the configuration or from a secret that it names. Raises: SettingsError."""
    option = f"{settings.name}: url"
    if settings.url is not None:
        return address.parse(settings.url, option)
    try:
        found = secret(settings.url_file, settings.url_credential) if isinstance(settings, HttpPut) else None
    except SecretError as error:
        raise _unusable(option, error) from None
    if found is None:
        raise SettingsError(option, "url, url_file or url_credential", "none")
    return msgspec.structs.replace(address.parse(found.decode("utf-8", "replace"), option), secret=True)


def token_of(settings: Remote) -> str | None:
    """Return the token of a server, None if none is configured. Raises: SettingsError."""
    try:
        found = secret(settings.token_file, settings.token_credential)
        return None if found is None else found.decode("ascii")
    except SecretError as error:
        raise _unusable(f"{settings.name}: token", error) from None
    except UnicodeDecodeError:
        raise SettingsError(f"{settings.name}: token", "ASCII", "other bytes") from None


def _unusable(option: str, error: SecretError) -> SettingsError:
    return SettingsError(f"{option}: {error.where}", error.expected, error.found, error.step)


def hub_key(settings: Hub, pinned: str | None) -> Verifier | None:
    """Return the key of a hub as configured, or else as pinned; None if it is not known. Raises: SettingsError."""
    vkey = settings.vkey or pinned
    if vkey is None:
        return None
    try:
        return answers.storage_key(vkey, settings.name)
    except DeliveryError as error:
        raise SettingsError(settings.name, "the vkey of a hub", "another text") from error


def host_name() -> str:
    """Return what a hub is to call this host."""
    return os.uname().nodename[:_HOST_LIMIT] or "unnamed"


def _enrolling(settings: Hub, around: Surroundings, key: Verifier) -> Callable[[Client], str | None]:
    """Return how to enrol; it is done alone only with a hub whose key is known, so that nobody is trusted unseen."""

    def enrol(client: Client) -> str | None:
        token = token_of(settings)
        if token is None:
            return "no token is configured: run evidenced enroll"
        try:
            info = enrolment.ask(client, key)
            enrolment.enrol(client, info, host=host_name(), token=token, prove=around.prove)
        except EvidenceError as error:
            return str(error)
        return None

    return enrol
