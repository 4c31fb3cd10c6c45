"""Twilio's REST API on the exchange: calls, and the way to everything else."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import unquote, urlsplit

import attrs

from .account import REFUSALS, is_known, json_reply, refusal
from .detection import MachineDetection
from .legs import Leg
from .restapi import RestApi, RestReply, RestRequest
from .twilio_orders import OrderError, read_call_order, read_update
from .twilio_records import describe_call
from .twilio_resources import Resources

if TYPE_CHECKING:
    from .twilio_skin import TwilioSkin

__all__ = ["TwilioRest"]

_FORM = "application/x-www-form-urlencoded"


class TwilioRest(RestApi):
    """The account's API, version 2010-04-01.

    Attributes:
        skin: whose API it is.
        passwords: the users: the account itself, and API keys that a test adds.
    """

    refusals: ClassVar[Mapping[str, RestReply]] = REFUSALS

    def __init__(self, skin: TwilioSkin, auth_token: str) -> None:
        super().__init__()
        self.skin = skin
        self.passwords = {skin.account_sid: auth_token}
        resources = Resources(skin)
        sid = "([^/]+)"
        self._routes: tuple[tuple[str, str, Callable[..., RestReply]], ...] = (
            ("GET", r"\.json", self._account),
            ("POST", r"/Calls\.json", self._create),
            ("GET", rf"/Calls/{sid}\.json", self._read),
            ("POST", rf"/Calls/{sid}\.json", self._update),
            ("GET", rf"/Calls/{sid}/Recordings\.json", resources.list_recordings),
            ("POST", rf"/Calls/{sid}/Recordings\.json", resources.start_recording),
            ("POST", rf"/Calls/{sid}/Recordings/{sid}\.json", resources.change_recording),
            ("GET", rf"/Recordings/{sid}\.json", resources.read_recording),
            ("GET", r"/Recordings/(RE[0-9a-f]{32})(?:\.wav)?", resources.fetch_recording),
            ("DELETE", rf"/Recordings/{sid}\.json", resources.delete_recording),
            ("GET", r"/Conferences\.json", resources.list_conferences),
            ("POST", rf"/Conferences/{sid}\.json", resources.end_conference),
            ("GET", rf"/Conferences/{sid}/Participants\.json", resources.list_participants),
            ("POST", rf"/Conferences/{sid}/Participants\.json", resources.add_participant),
            ("POST", rf"/Conferences/{sid}/Participants/{sid}\.json", resources.change_participant),
            ("DELETE", rf"/Conferences/{sid}/Participants/{sid}\.json", resources.remove_participant),
            ("GET", r"/IncomingPhoneNumbers\.json", resources.list_numbers),
            ("GET", rf"/IncomingPhoneNumbers/{sid}\.json", resources.read_number),
            ("POST", rf"/IncomingPhoneNumbers/{sid}\.json", resources.change_number),
        )

    def carry_out(self, request: RestRequest) -> RestReply:
        """Finds what is asked for and does it."""
        if not is_known(request, self.passwords):
            return REFUSALS["unauthorized"]
        path, prefix = unquote(urlsplit(request.target).path), f"/2010-04-01/Accounts/{self.skin.account_sid}"
        if not path.startswith(prefix):
            return REFUSALS["not_found"]
        found = False
        for method, pattern, act in self._routes:
            match = re.fullmatch(pattern, path[len(prefix) :])
            found = found or match is not None
            if match is None or method != request.method:
                continue
            if (
                method == "POST"
                and request.headers.get("content-type", "").partition(";")[0].strip() != _FORM
            ):
                return refusal(415, 20001, "Unsupported media type")
            try:
                return act(request, *match.groups())
            except OrderError as error:
                return refusal(error.status, error.code, str(error))
        return refusal(405, 20004, "Method not allowed") if found else REFUSALS["not_found"]

    def _account(self, request: RestRequest) -> RestReply:
        sid = self.skin.account_sid
        uri = f"/2010-04-01/Accounts/{sid}.json"
        described = {"sid": sid, "friendly_name": "Simulated account", "status": "active", "type": "Full"}
        return json_reply(200, {**described, "owner_account_sid": sid, "subresource_uris": {}, "uri": uri})

    def find(self, call_sid: str) -> Leg:
        """The call with this sid.

        Raises:
            OrderError: there is none.
        """
        leg = self.skin.exchange.legs.get(call_sid)
        if leg is None:
            raise OrderError(20404, f"The requested resource {call_sid} was not found", status=404)
        return leg

    def _described(self, leg: Leg, status: int = 200) -> RestReply:
        return json_reply(status, describe_call(leg, self.skin.account_sid))

    def _read(self, request: RestRequest, call_sid: str) -> RestReply:
        return self._described(self.find(call_sid))

    def _create(self, request: RestRequest) -> RestReply:
        owned = {record.number for record in self.skin.numbers.values()}
        order = read_call_order(request.fields, owned)
        detection: MachineDetection | None = None
        if order.call.amd:
            detection = attrs.evolve(self.skin.exchange.detection, **dict(order.detection))
        leg = self.skin.exchange.place(
            order.to,
            order.caller,
            self.skin.documents.instruct(
                xml=order.xml, url=order.url, waits=order.waits, digits=order.digits
            ),
            ring_seconds=order.ring_seconds,
            max_seconds=order.max_seconds,
            detection=detection,
            details=order.call,
        )
        return self._described(leg, 201)

    def _update(self, request: RestRequest, call_sid: str) -> RestReply:
        leg, order = self.find(call_sid), read_update(request.fields)
        if leg.ended is not None:
            return REFUSALS["not_in_progress"]
        if order.status == "completed":
            leg.hang_up()
        elif order.status == "canceled":
            # Twilio ignores a cancellation of a call that was answered.
            if leg.answered_at is None:
                leg.hang_up()
        elif leg.answered_at is None:
            return REFUSALS["not_in_progress"]
        elif order.url:
            leg.redirect((self.skin.documents.fetching("answer", order.url),))
        else:
            leg.redirect(self.skin.documents.read(leg, order.xml))
        return self._described(leg)
