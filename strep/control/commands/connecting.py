"""Connect calls with each other: bridge, transfer, refer, queue, supervise."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from strep.control.commands.command import CallCommand, FullCallCommand, command
from strep.control.commands.groups import NewLeg, RecordsFromAnswer, SipHeaders, SipLogin, Webhooks
from strep.control.commands.kinds import ClientState, NonEmpty, Supervisor, Uuid, about
from strep.control.commands.languages import RingTone
from strep.control.commands.results import CommandResult

MuteDtmf = Literal["none", "both", "self", "opposite"]


@command
class Bridge(FullCallCommand[CommandResult], RecordsFromAnswer):
    """Connect a call with another one, a queue's first, or a video room.

    call_control_id_to_bridge_with: the other call; the platform calls it call_control_id, as it does this one. One of
    it, `queue` and `video_room_id` is needed.
    """

    ACTION: ClassVar[str] = "bridge"

    call_control_id_to_bridge_with: Annotated[
        str | None, Field(serialization_alias="call_control_id", description="The other call.")
    ] = None
    queue: Annotated[str | None, about("Queue whose first call is the other one.")] = None
    video_room_id: Annotated[Uuid | None, about("Video room to join.")] = None
    video_room_context: Annotated[str | None, about("What the video room is told.")] = None
    play_ringtone: Annotated[bool, about("Let it ring until the other call is answered.")] = False
    ringtone: Annotated[RingTone, about("Country whose ring tone that is.")] = "us"
    mute_dtmf: Annotated[MuteDtmf, about("Who does not hear the digits that are pressed.")] = "none"
    hold_after_unbridge: Annotated[bool | None, about("Hold this leg, rather than end it, after the bridge.")] = None
    park_after_unbridge: Annotated[str | None, about("self: park this leg when the bridge ends.")] = None
    prevent_double_bridge: Annotated[bool, about("Do not bridge with a call that is bridged already.")] = False

    def complete(self) -> None:
        """Check that it is said what to bridge with, once."""
        super().complete()
        self.needs_one_of("call_control_id_to_bridge_with", "queue", "video_room_id")


@command
class Transfer(FullCallCommand[CommandResult], NewLeg, SipHeaders, RecordsFromAnswer, Webhooks):
    """Connect a call with somebody who is dialed for it."""

    ACTION: ClassVar[str] = "transfer"

    to: Annotated[NonEmpty, about("Whom to call: a number or a SIP URI.")]
    from_: Annotated[str | None, about("Number that the callee sees, as +13125550100.")] = None
    target_leg_client_state: Annotated[
        ClientState | None, about("Comes back in every webhook of the new leg; as client_state.")
    ] = None
    early_media: Annotated[bool, about("Let the caller hear the callee's side before the answer.")] = True
    mute_dtmf: Annotated[MuteDtmf, about("Who does not hear the digits that are pressed.")] = "none"


@command
class Refer(FullCallCommand[CommandResult], SipHeaders, SipLogin):
    """Ask the other side, by SIP REFER, to call somebody else instead."""

    ACTION: ClassVar[str] = "refer"

    sip_address: Annotated[NonEmpty, about("SIP URI to call instead.")]


@command
class Enqueue(FullCallCommand[CommandResult]):
    """Put a call into a queue."""

    ACTION: ClassVar[str] = "enqueue"

    queue_name: Annotated[NonEmpty, about("Name of the queue, which begins with its first call.")]
    max_size: Annotated[int, about("Calls that it holds; settled by the first one.", ge=1)] = 100
    max_wait_time_secs: Annotated[int | None, about("How long the call may wait, seconds.", ge=0)] = None
    keep_after_hangup: Annotated[bool, about("Keep its place when the caller hangs up.")] = False


@command
class LeaveQueue(FullCallCommand[CommandResult]):
    """Take a call out of its queue."""

    ACTION: ClassVar[str] = "leave_queue"


@command
class SwitchSupervisorRole(CallCommand[CommandResult]):
    """Change whom a supervisor speaks to.

    barge: both parties, whisper: the supervised one, monitor: nobody.
    """

    ACTION: ClassVar[str] = "switch_supervisor_role"

    role: Annotated[Supervisor, about("The new role.")]
