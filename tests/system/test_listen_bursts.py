"""Notices of bursts by way of the broker: heard, archived, taken over, and in the event's list."""

from burst_samples import GPS, GRB, gbm, guano, raw
from listening import site

from llama.event.heard_bursts import heard_bursts
from llama.running.takeover import take_over
from llama.times import gps_to_iso, now_gps

TOPICS = ["gcn.notices.fermi.gbm", "gcn.notices.swift.bat.guano"]


def test_what_partners_send_becomes_a_list(broker, tmp_path):
    now = now_gps()
    times = {"trigger_time": gps_to_iso(now - 30), "alert_datetime": gps_to_iso(now - 20)}
    unknown = gbm(mission="NICER", instrument="XTI", **{"$schema": "nicer"})
    # a retraction before its notice
    gone = guano(alert_type="retraction", **times)
    for topic, notice in zip(
        (TOPICS[0], TOPICS[1], TOPICS[1], TOPICS[0]),
        (gbm(**times), gone, guano(**times), unknown),
        strict=True,
    ):
        broker.send(topic, [raw(notice)])
    with site(tmp_path, broker, topics=TOPICS) as one:
        one.start()
        one.wait_for_pending(4)
        assert one.end() == 0
    said = [taken.said for taken in take_over(one.output, "TRIGGERED_PUBLIC") if taken.said]
    assert len(said) == 1
    assert "is archived and left alone: it is of no instrument that is known there" in said[0]
    found = heard_bursts(one.output, now - 32, GRB, TOPICS)
    assert [row["graceid"] for row in found["events"]] == ["fermi_gbm:123"]
    assert found["instruments"] == ["fermi_gbm", "swift_guano"]
    assert heard_bursts(one.output, GPS, GRB, TOPICS) is None
