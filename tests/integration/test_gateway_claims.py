# SPDX-License-Identifier: MIT
"""Claims at secbox-gateway, where they meet each other and what operators do."""
# pylint: disable=redefined-outer-name,unused-import
import threading
import time

import pytest

pytest.importorskip("cryptography")
pytest.importorskip("websockets")

from tests.integration.gateway_lab import device, enroll, error_id, gw, refused, shared, tunnel_url  # noqa: E402
from tests.lab.device import DeviceKey  # noqa: E402
from tests.lab.util import wait_until  # noqa: E402


def test_a_box_may_be_set_up_anew_many_times_in_a_row(gw):
    """The limit on tokens is one on a key: a new key has had none."""
    box = enroll(gw, "claim-often")
    for _ in range(20):
        answer = gw.request("POST", f"/v1/devices/{box.id}/bootstrap")
        assert answer.status == 201, answer
        box.bootstrap, box.key = answer.json["bootstrap"], DeviceKey()
        answer = box.claim()
        assert answer.status == 201, answer


def wait_for_a_waiting_lock(gw):
    wait_until(lambda: gw.postgres.sql("SELECT 1 FROM pg_locks WHERE NOT granted"), "a statement waits for the lock")


def test_a_claim_does_not_unblock_a_device(gw):
    """The operator blocks it between the claim's look at the database and its entry there."""
    box = enroll(gw, "claim-while-blocked")
    answers = {}
    block = threading.Thread(target=lambda: answers.update(
        block=gw.request("POST", f"/v1/devices/{box.id}/block")))
    claim = threading.Thread(target=lambda: answers.update(claim=box.claim()))
    with gw.postgres.open_transaction("LOCK TABLE operator_tokens IN ACCESS EXCLUSIVE MODE"):
        block.start()
        wait_for_a_waiting_lock(gw)
        claim.start()
        time.sleep(2)  # for its look; where it comes later still, it finds a blocked device
    for thread in (block, claim):
        thread.join()
    assert answers["block"].status == 200, answers
    assert answers["claim"].status == 403 and error_id(answers["claim"]) == "device.blocked", answers
