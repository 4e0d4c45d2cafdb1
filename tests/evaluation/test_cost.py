from __future__ import annotations

import pytest

from twinset.evaluation.cost import Prices, cost

# 3,600 s in all: 2,520 s of making (0.7 h), of them 720 s that every further image takes (0.2 h), 1,080 s of measuring.
SECONDS = {
    "read": 60.0,
    "calibrate": 30.0,
    "fit diffusion": 1500.0,
    "fit sdedit": 150.0,
    "match copypaste": 40.0,
    "generate": 600.0,
    "align": 120.0,
    "export": 20.0,
    "gate": 80.0,
    "utility": 1000.0,
}


def test_hours_and_prices_per_thousand_by_hand() -> None:
    found = cost(SECONDS, accepted=500, prices=Prices(per_hour=3.0, per_label=0.04))
    assert (found.making.hours, found.again.hours, found.whole.hours) == pytest.approx((0.7, 0.2, 1.0))
    per_thousand = [each.hours_per_thousand for each in (found.making, found.again, found.whole)]
    assert per_thousand == pytest.approx([1.4, 0.4, 2.0])
    assert [each.price_per_thousand for each in (found.making, found.again, found.whole)] == pytest.approx(
        [4.2, 1.2, 6.0]
    )
    assert found.labelling_per_thousand == pytest.approx(40.0)
    assert found.undefined_because == ""


def test_without_prices_there_are_hours_alone() -> None:
    found = cost(SECONDS, accepted=500)
    assert found.making.hours_per_thousand == pytest.approx(1.4)
    assert found.making.price_per_thousand is None
    assert found.making.kwh_per_thousand is None
    assert found.labelling_per_thousand is None


def test_nothing_accepted_has_no_cost_per_thousand() -> None:
    found = cost(SECONDS, accepted=0, prices=Prices(per_hour=3.0))
    assert found.making.hours == pytest.approx(0.7)
    assert found.making.hours_per_thousand is found.making.price_per_thousand is None
    assert found.undefined_because == "no image was accepted"


def test_a_thousand_costs_the_same_whatever_share_of_it_was_made() -> None:
    double = {name: 2 * value for name, value in SECONDS.items()}
    one, two = (cost(s, accepted=n, prices=Prices(per_hour=1.0)) for s, n in ((SECONDS, 500), (double, 1000)))
    assert two.making.hours == pytest.approx(2 * one.making.hours)
    assert two.making.price_per_thousand == pytest.approx(one.making.price_per_thousand)


def test_energy_counts_where_every_stage_was_measured() -> None:
    kwh = {"fit diffusion": 0.2, "generate": 0.04, "align": 0.01}
    seconds = {name: SECONDS[name] for name in kwh}
    found = cost({**seconds, "utility": 9.0}, accepted=250, kwh=kwh)
    assert found.making.kwh_per_thousand == pytest.approx(1.0)
    assert found.again.kwh_per_thousand == pytest.approx(0.2)
    assert found.whole.kwh_per_thousand is None
    assert cost(seconds, accepted=250, kwh={**kwh, "utility": 5.0}).whole.kwh_per_thousand == pytest.approx(1.0)
    assert cost({"utility": 9.0}, accepted=250, kwh=kwh).making.kwh_per_thousand is None


@pytest.mark.parametrize("price", [-1.0, float("nan"), float("inf")])
def test_prices_are_numbers_of_zero_or_more(price: float) -> None:
    with pytest.raises(ValueError, match="expected a price per_hour of 0 or more"):
        Prices(per_hour=price)
    with pytest.raises(ValueError, match="expected a price per_label of 0 or more"):
        Prices(per_label=price)
    assert cost(SECONDS, accepted=1, prices=Prices(per_hour=0.0)).making.price_per_thousand == 0.0


def test_seconds_that_cannot_be_are_refused() -> None:
    for seconds, accepted in (({"generate": -1.0}, 5), ({"generate": float("nan")}, 5), ({"generate": 1.0}, -5)):
        with pytest.raises(ValueError, match="expected counts, seconds and kWh of 0 or more"):
            cost(seconds, accepted=accepted)
