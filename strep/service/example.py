"""Show a configuration with every key of it; the tests read it."""

#: Nobody has what belongs to it.
EXAMPLE_PUBLIC_KEY = "NRNButY+Mkeer4fgSmm0YQkrxLKWVfhuP4mOXNXG+lY="

EXAMPLE = f"""\
# What `strep serve --config strep.toml` reads. Keys that are commented out show their default.
# Paths are relative to the folder of this file.

[api]
key_env = "TELNYX_API_KEY"          # the environment variable with the API key, or
# key_file = "telnyx.key"           # a file that holds it
# secret_env = "TELNYX_API_SECRET"  # older API: key and secret by Basic authentication
# secret_file = "telnyx.secret"
# base_url = "https://api.telnyx.com/v2"
# timeout_s = 10.0
# commands = 20                     # under way at a time
# give_up_s = 55.0                  # how long a fork command is tried again; the platform knows it again for 60 s

[webhooks]
listen = "127.0.0.1:8080"           # behind your TLS proxy; the platform posts to https://your.host/webhooks
path = "/webhooks"
public_key = "{EXAMPLE_PUBLIC_KEY}"  # nobody's: put the platform's here, from its portal
# public_key_env = "TELNYX_PUBLIC_KEY"  # in place of public_key: the environment variable that has it
# tolerance_s = 300                 # how old a signature may be

[media]
target = "udp:0.0.0.0:9000"         # where forked audio arrives: any number of calls on one port
announce = "udp:203.0.113.5:9000"   # the same as the platform sees it; port 0: the one that is listened on
# ports = "9100-9199"               # for calls that are forked to rx and tx: two each; some 20 such calls fill a core
# payload_types = ["116=opus/48000/2"]
# playout_delay_ms = 100            # how long a packet waits for an earlier one
# idle_timeout_s = 60               # how long a call may be silent before its recording is closed
# linger_ms = 500                   # how long after a call's end its last packets are waited for
# receive_buffer_bytes = 268435456
# allow = ["192.76.120.0/22"]       # networks that datagrams are taken from; by default from everywhere
# strep_only = false                # take nothing but STREP at target
# spool = "spool"                   # keep every datagram that comes to target, too: strep decode records them again
# spool_bytes = 8589934592          # how much of it; beyond that, the oldest are removed

[recordings]
out = "calls"
# layout = "stereo"                 # or "mono": one file a direction
# encoding = "pcm16"                # or "ulaw", "alaw": for G.711 calls
# format = "wav"                    # or "flac", "ogg"
# file_mode = "600"                 # permissions of recordings and their sidecars
# large_files = "parts"             # or "rf64": what a WAV file of 4 GB becomes
# fsync = "never"                   # or "end", or seconds: when to wait until a recording is on the disk
# write_queue_s = 30.0              # how long audio may wait for a slow disk before some is left out
# write_queue_bytes = 1073741824    # how much may
# recover = true                    # finish at the start what a killed recorder left
# keep_days = 30                    # remove recordings that ended longer ago; without this key, none is too old
# keep_bytes = 500000000000         # remove the oldest while all together take more
# min_free_bytes = 20000000000      # remove the oldest while the file system has less left

[service]
# state_file = "calls/.strep-service.state"  # by this a service that was killed finds its calls again
# stop_forks = false                # end the forks when the service is stopped
# events = "none"                   # or "jsonl": each event as a line of JSON on stdout
# unknown = "quarantine"            # media that nobody here asked for; or "refuse", "accept"

[analysis]
# plugins = []                      # who listens to the calls, such as ["voice", "dtmf", "my.module:Class=process"]
# settings = {{}}                     # such as {{ voice = {{ interval_s = 10 }} }}

[limits]
# forks = 1000                      # calls that are forked at one time
# calls = 20000                     # that are remembered
# undecided = 5000                  # that wait for the webhook which says what a rule asks for,
# undecided_s = 120                 # for so long; then the rules are taken without it
# quarantine_legs = 10              # recorded in quarantine at one time,
# quarantine_s = 60                 # so much of each,
# quarantine_total = 1000           # so many until the service ends,
# quarantine_bytes = 1073741824     # and so many bytes of all of them
# hook_queue = 10000
# stream_hooks = 2000

# The first rule that matches a call decides. All criteria of a rule must be met; a rule without any matches every call.
# Texts match with * and ?, or, behind `re:`, as a regular expression. Values of more than
# 256 characters match nothing. Several in a list: one of them must match.

[[rules]]
name = "internal"
from = "+4930555*"
to = ["+4930555*", "re:sip:1\\\\d\\\\d@.*"]
fork = false

[[rules]]
name = "support"
connection_id = "1684641123236054244"
direction = "incoming"              # or "outgoing"
# headers = {{ "X-Record" = "yes" }}
fork = "target"                     # or true, which is the same; "rx_tx"; false
# stream_type = "raw"               # or "decrypted"; left out: what fork_start takes for this kind of fork
accept = true                       # record the media of these calls also when somebody else forked them
"""
