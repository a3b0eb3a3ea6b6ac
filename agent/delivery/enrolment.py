"""Enrolling with a hub: this key is mine, and here is a token. docs/hub-protocol.md, section 5."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus

import msgspec

from agent.delivery import answers
from agent.delivery.answers import HubInfo
from agent.delivery.errors import AnswerError, RefusedError, UntrustedError
from agent.delivery.sinks.http_put import authorization
from agent.delivery.transport import Answer, Client, body_of
from agent.signing.protocol import Proof
from evidence.note import Verifier
from evidence.order import id_of

ANOTHER_KEY = (
    "ask its operator on another way whether it has a new one; if so, take the old vkey out of the configuration and "
    "run evidenced enroll with --hub-key"
)
Prove = Callable[[str, str], Proof]
"""Sign a hub's name and nonce with the key of the log that goes on, and show the keys before it: `prove`."""


def ask(client: Client, known: Verifier | None) -> HubInfo:
    """Return who the hub is. Raises: UntrustedError if it has another key than the known one; DeliveryError."""
    where = client.address.where
    answer = client.exchange("GET", client.address.target("/v1/hub"))
    if answer.status != HTTPStatus.OK:
        step = answers.UNWELL if answers.is_unwell(answer) else answers.NOT_A_HUB
        raise AnswerError(where, "a hub of protocol 1", answers.reason(answer), step)
    info = answers.hub_info(answer, where)
    if info.verifier.name != info.name:
        raise AnswerError(where, "a hub whose key has its name", "another name", "ask its operator")
    if known is not None and info.verifier != known:
        raise UntrustedError(where, f"the key of {known.name} that is pinned", "another key", ANOTHER_KEY)
    return info


def enrol(client: Client, info: HubInfo, *, host: str, token: str | None, prove: Prove) -> str:
    """Enrol this host's key at a hub and return the id of the log it signs; to do so again changes nothing.

    The keys before it are shown, too, so that a hub that knows one of them knows the host, and takes their logs.
    Raises: RefusedError with what the hub says; DeliveryError; EvidenceError of the signer.
    """
    for again in (True, False):
        proof = prove(info.name, info.nonce)
        answer = _post(client, info, proof, host, token)
        if answer.status not in (HTTPStatus.OK, HTTPStatus.CREATED):
            if again and answer.status == HTTPStatus.FORBIDDEN and answers.problem(answer).kind == "nonce":
                info = ask(client, info.verifier)
                continue
            raise _refused(client, answer, token)
        found = answers.enrolled(answer, client.address.where)
        if (found.log, found.vkey) != (id_of(proof.origin), info.vkey):
            raise AnswerError(client.address.where, f"the enrolment of {id_of(proof.origin)}", "another")
        return found.log
    raise AnswerError(client.address.where, "a nonce that the hub takes", "two that it does not")


def _post(client: Client, info: HubInfo, proof: Proof, host: str, token: str | None) -> Answer:
    document = {
        "key": proof.key,
        "name": host,
        "nonce": info.nonce,
        "origin": proof.origin,
        "proof": proof.sshsig,
        **({"rotations": proof.rotations} if proof.rotations else {}),
    }
    headers = {"Content-Type": "application/json"}
    if token is not None:
        headers["Authorization"] = authorization(token, None)
    body = body_of(msgspec.json.encode(document, order="sorted"))
    return client.exchange("POST", client.address.target("/v1/enrolments"), headers, body)


def _refused(client: Client, answer: Answer, token: str | None) -> RefusedError:
    step = "ask the operator of the hub"
    if not answers.is_of_a_hub(answer):
        step = answers.NOT_A_HUB
    elif answers.is_unwell(answer):
        step = answers.UNWELL
    elif answer.status == HTTPStatus.UNAUTHORIZED and token is None:
        step += " for a token, and name its file with token_file (evidenced enroll --token-file)"
    elif answer.status == HTTPStatus.UNAUTHORIZED:
        step += " for another token: this one was mistyped, used up, revoked, or has expired"
    elif answer.status == HTTPStatus.CONFLICT:
        step = "the hub knows another key by this id and keeps it: begin a new log with evidenced keys rotate"
    return RefusedError(client.address.where, "to be enrolled", answers.reason(answer), step)
