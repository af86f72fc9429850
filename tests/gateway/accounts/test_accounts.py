"""The list of a user's bound accounts when part of the data of one is unavailable."""

from pathlib import Path

import pytest
from sqlalchemy import update

from standing.gateway.decisions.messages import NOT_SERVED
from standing.gateway.storage import schema
from tests.gateway.gateway_rig import BICS, rig


@pytest.mark.long
def test_an_account_at_a_bank_no_longer_served_is_listed_as_ended_and_hides_no_other(tmp_path: Path) -> None:
    with rig(tmp_path) as made:
        gone, other = made.bound(), made.bound(BICS[1])
        table = schema.bindings
        with made.app.state.gateway.storage.write() as connection:
            connection.execute(update(table).where(table.c.user_id == gone.user_id).values(user_id=other.user_id))
            connection.execute(
                update(table).where(table.c.binding == bytes.fromhex(gone.binding[2:])).values(bank="GONECNB0")
            )
        accounts = made.platform("GET", f"/v1/users/{other.user_id}/accounts").json()["accounts"]
        assert [(each["binding"], each["health"]) for each in accounts] == [
            (other.binding, "good"),
            (gone.binding, "ended"),
        ]
        last = accounts[-1]
        assert (last["bank_name"], last["reason"]) == ({"en": "GONECNB0", "zh": "GONECNB0"}, None)
        assert not last["can_pay"]
        assert not last["can_withdraw"]
        assert last["message"] == {"en": NOT_SERVED.en, "zh": NOT_SERVED.zh}
