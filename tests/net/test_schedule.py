import uuid

from hypothesis import given
from hypothesis import strategies as st

from strep.net.schedule import Due, call_leg_id_of, media_schedule
from strep.wire.batch import DatagramBatch, Endpoint
from strep.wire.fate import Fate
from strep.wire.strep import StrepHeader
from tests.naive_datagram import parse_datagram
from tests.traffic import Sender

SIP = b"INVITE sip:bob@example.com SIP/2.0\r\n\r\n"
RTCP = bytes.fromhex("81c80000")
ENDPOINTS = (
    Endpoint("192.0.2.1:4000", "192.0.2.2:5000", "one"),
    Endpoint("192.0.2.2:5000", "192.0.2.1:4000", "one", 1),
)


def batch(datagrams, arrival_ns=None, source=None, endpoints=ENDPOINTS):
    return DatagramBatch.from_datagrams(datagrams, arrival_ns or range(len(datagrams)), source, endpoints)


def test_media_keeps_its_distances_and_signalling_before_it_costs_no_time():
    packets = Sender().packets(2)
    due = list(media_schedule([batch([SIP, packets[0], RTCP, packets[1]], [10, 1_000, 1_010, 21_000])]))
    assert due == [Due(0, packets[0], 0), Due(20_000, packets[1], 0)]


def test_time_and_senders_go_on_from_batch_to_batch():
    endpoints = list(ENDPOINTS[:1])
    packets = Sender(strep=False).packets(2)

    def batches():
        yield batch(packets[:1], [5], [0], endpoints)
        endpoints.append(ENDPOINTS[1])
        yield batch(packets[1:], [9], [1], endpoints)

    due = list(media_schedule(batches(), encapsulate=True))
    assert [(some.offset_ns, some.flow) for some in due] == [(0, 0), (4, 1)]
    assert [StrepHeader.parse(some.data).direction for some in due] == [0, 1]


def test_plain_rtp_gets_the_header_of_its_conversation():
    packets = Sender(strep=False).packets(2)
    due = list(media_schedule([batch(packets, source=[0, 1])], encapsulate=True))
    headers = [StrepHeader.parse(some.data) for some in due]
    assert headers == [StrepHeader(call_leg_id_of("one"), 0, 0), StrepHeader(call_leg_id_of("one"), 0, 1)]
    assert [some.data[24:] for some in due] == packets


def test_what_has_a_header_keeps_it():
    packets = Sender(leg=1, direction=1).packets(1)
    assert [some.data for some in media_schedule([batch(packets)], encapsulate=True)] == packets


def test_made_up_call_leg_ids_are_the_same_on_every_machine():
    assert call_leg_id_of("192.0.2.1_4000-192.0.2.2_5000") == uuid.UUID("79ae4ea9-00aa-5a40-8b6e-4462379eef9d")
    assert call_leg_id_of("one") != call_leg_id_of("two")


def test_nothing_to_send_is_an_empty_schedule():
    assert list(media_schedule([])) == []
    assert list(media_schedule([batch([SIP, RTCP, b""])])) == []


anything = st.one_of(
    st.binary(max_size=80),
    st.binary(min_size=1, max_size=60).map(lambda data: b"\x80" + data),
    st.binary(min_size=1, max_size=80).map(lambda data: b"\xc4\x18" + data),
    st.just(SIP),
    st.just(RTCP),
)


@given(st.lists(anything, max_size=20))
def test_what_is_sent_is_what_the_scalar_parser_takes_for_media(datagrams):
    batches = [batch(datagrams)] if datagrams else []
    sent = [some.data for some in media_schedule(batches)]
    assert sent == [data for data in datagrams if parse_datagram(data).fate is Fate.ACCEPTED]


def test_offsets_are_plain_numbers():
    (due,) = media_schedule([batch(Sender().packets(1), [7])])
    assert type(due.offset_ns) is int
